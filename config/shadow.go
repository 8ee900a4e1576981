package config

import (
	"math"
	"strings"
)

// Shadow says with whom answers are compared. The zero value says with nobody.
type Shadow struct {
	Upstream string   // the group that is asked as well; empty for none
	Sample   float64  // the share of the answers that are compared, above 0 and up to 1
	MaxQPS   float64  // how many queries a second the group is sent for it at most
	Networks []string // whose answers are compared; empty for those of all
}

const (
	defaultShadowSample = 0.05
	// defaultShadowQPS is a small part of what Azure DNS answers one machine.
	defaultShadowQPS = 20
)

// shadow reads with whom answers are compared.
func (l *loader) shadow(root table) {
	t, given := root.sub("shadow")
	if !given {
		return
	}
	t.only("upstream", "sample", "max_qps", "networks")
	s := &l.config.Shadow
	s.Sample, s.MaxQPS = defaultShadowSample, defaultShadowQPS
	if value, given := t.value("sample"); given {
		const remedy = "write a share above 0 and up to 1, such as 0.05 for one answer in twenty"
		s.Sample = l.number(t.place("sample"), value, 1, remedy)
		if s.Sample > 0 && s.Sample < 1./maxSample {
			l.rep.add(t.place("sample"), faultf(remedy, "%v is so little that nothing would be compared", value))
		}
	}
	if value, given := t.value("max_qps"); given {
		const remedy = "write a number of queries a second above 0"
		s.MaxQPS = l.number(t.place("max_qps"), value, maxMaxQPS, remedy)
	}
	l.shadowedNetworks, _ = t.texts("networks", "hub")
	upstream, is := t.text("upstream", "azure")
	switch {
	case !t.has("upstream"), is && upstream == "":
		l.rep.add(t.here(), faultf(`add upstream = "azure", the group that clients asked before or would ask instead`,
			"names no upstream group to compare with"))
	case is:
		s.Upstream, l.shadowed = upstream, t.place("upstream")
	}
}

// finishShadow marks the group that answers are compared with, and finds the networks,
// once all are known.
func (l *loader) finishShadow() {
	s := &l.config.Shadow
	if s.Upstream != "" {
		l.uses(routeDraft{s.Upstream, l.shadowed})
	}
	s.Networks = l.definedNetworks(l.shadowedNetworks)
}

// definedNetworks are the networks of a list, which have to be there.
func (l *loader) definedNetworks(list []entry) (networks []string) {
	networks, _ = distinct(l.rep, list, func(name string) (_ string, f *fault) {
		if l.drafts[name] == nil {
			f = faultf("write the name of a network", "network %q is not defined", name)
		}
		return strings.Clone(name), f // not a part of the file's text
	})
	return networks
}

// number reads a number above 0 and up to most; 0 where it is none.
func (l *loader) number(at Place, value any, most float64, remedy string) float64 {
	number, is := value.(float64)
	if whole, isWhole := value.(int64); isWhole {
		number, is = float64(whole), true
	}
	switch {
	case !is:
		l.rep.add(at, faultf(remedy, "is %s, not a number", kindOf(value)))
	case math.IsNaN(number) || number <= 0 || number > most:
		l.rep.add(at, faultf(remedy, "%v is out of range", value))
	default:
		return number
	}
	return 0
}
