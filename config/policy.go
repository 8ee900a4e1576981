package config

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"pldns/zones"
	"pldns/zones/policy"
)

// policyDraft is a policy while the files are read, and where it is written.
type policyDraft struct {
	keptPolicy
	place   Place
	read    bool // whether the files could be read, all of them
	builder *policy.Builder
	kept    *policy.Policy // made of the same before; nil if there is none
	from    fromDraft      // of one that is taken from primaries
}

// PolicyZone is a policy that is taken from primaries, as a response policy zone.
type PolicyZone struct {
	Options policy.Options
	Zone    zones.Name
	Copy    string // the id of the copy that its entries are read from
	// Empty stands for it in networks: it has no entries.
	Empty *policy.Policy
}

// policies reads the policies that one file defines.
func (l *loader) policies(root table) {
	t, _ := root.sub("policy")
	l.labelled(t, "a policy", l.policy)
}

// policy reads one policy with its files. A release does not add to one of the machine's.
func (l *loader) policy(name string, t table) {
	if known := l.policyDrafts[name]; known != nil {
		if !t.here().Released() || known.place.Released() {
			l.rep.clash(t.here(), known.place, faultf("write all of it in one table", "policy %s is defined twice", name))
		}
		return
	}
	t.only("files", "format", "zone", "action", "error", "from", "tsig")
	draft := &policyDraft{place: t.here(), read: true}
	draft.options.Name = name
	l.policyDrafts[name] = draft
	l.policyAction(t, draft)
	draft.options.Code = l.policyError(t)
	draft.format, draft.zone = l.policyFormat(t)
	if l.from(t, "from", "tsig", &draft.from); draft.from.given() {
		l.policyFrom(t, draft)
		return
	}
	if draft.from.tsig.text != "" {
		l.finishFrom(&draft.from) // which is a fault
	}
	patterns, given := t.texts("files", "policy.d/*.txt")
	if !given && !t.has("files") {
		l.rep.add(draft.place, faultf(`add files = ["policy.d/*.txt"], or zone and from`, "policy %s has no files", name))
	}
	named := make(map[string]bool)
	var by []entry
	for _, pattern := range patterns {
		for _, file := range l.matches(pattern, "policy.d/*.txt") {
			if !named[file] {
				named[file] = true
				by, draft.files = append(by, pattern), append(draft.files, l.kept.version(file, l.now))
			}
		}
	}
	l.policyFiles(by, draft)
}

// policyFrom checks a policy that is taken from primaries: a zone, and nothing else.
func (l *loader) policyFrom(t table, draft *policyDraft) {
	draft.builder = policy.NewBuilder()
	if t.has("files") {
		l.rep.clash(t.place("files"), draft.from.place, &fault{"a policy has files, or is taken from primaries", "remove one of the two"})
	}
	if draft.format == policy.List {
		l.rep.add(t.place("format"), &fault{"what primaries have is a response policy zone", "remove it"})
	}
	if draft.zone.IsZero() || draft.zone.IsRoot() {
		l.rep.add(draft.from.place, &fault{"it is not said which zone is taken", `add zone = "rpz.corp.example"`})
		draft.zone = zones.Name{}
	}
}

// finishPolicyZones finds the keys of the policies that are taken from primaries.
func (l *loader) finishPolicyZones() {
	for _, name := range slices.Sorted(maps.Keys(l.policyDrafts)) {
		draft := l.policyDrafts[name]
		if !draft.from.given() {
			continue
		}
		l.finishFrom(&draft.from)
		if draft.made == nil || draft.zone.IsZero() {
			continue
		}
		l.config.PolicyZones = append(l.config.PolicyZones, PolicyZone{
			Options: draft.options, Zone: draft.zone.Clone(), Copy: l.copyOf(draft.zone, &draft.from, ""), Empty: draft.made,
		})
	}
}

// policyFiles reads the files of a policy, unless they are what they were: then nothing of
// them is read, and what there is to say of them is said again.
func (l *loader) policyFiles(by []entry, draft *policyDraft) {
	known := l.kept.same(draft.options.Name, &draft.keptPolicy)
	if known != nil {
		draft.files, draft.kept = known.files, known.made
	} else {
		draft.builder = policy.NewBuilder()
	}
	for i, pattern := range by {
		file := &draft.files[i]
		if known != nil {
			draft.read = l.enterData(pattern, file.name) && draft.read
		} else {
			draft.read = l.policyFile(pattern, file, draft) && draft.read
		}
		l.warnOfSkipped(pattern, file)
	}
}

// policyFile reads one file of a policy, and tells whether it could be read.
func (l *loader) policyFile(pattern entry, file *keptFile, draft *policyDraft) bool {
	from, ok := l.dataFile(pattern, file.name)
	if !ok {
		return false
	}
	defer from.Close()
	var err error
	if file.found, err = draft.builder.Read(from, draft.format, draft.zone); err != nil {
		l.rep.add(pattern.place, faultf(`correct the file, or say with format = "rpz" or "list" what it is`, "%s: %s", file.name, err))
	}
	return err == nil
}

// warnOfSkipped reports what was left out of a file.
func (l *loader) warnOfSkipped(pattern entry, file *keptFile) {
	var parts []string
	for _, skipped := range file.found.Skipped {
		parts = append(parts, skipped.String())
	}
	if len(parts) > 0 {
		l.rep.warn(pattern.place, faultf("remove them, or see to it that the rest is enough",
			"%s: entries that are read: %d; left out are %s", file.name, file.found.Entries, strings.Join(parts, "; ")))
	}
}

// policyAction reads what is done instead of what the entries say: a word, or addresses.
func (l *loader) policyAction(t table, draft *policyDraft) {
	value, given := t.get("action")
	if _, is := value.([]any); is {
		entries, _ := t.texts("action", "10.0.0.9")
		for _, e := range entries {
			addr, err := netip.ParseAddr(e.text)
			if err != nil || addr.Zone() != "" {
				l.rep.add(e.place, faultf(`write addresses, such as "10.0.0.9"`, "%q is no address", e.text))
				continue
			}
			draft.options.Addresses = append(draft.options.Addresses, addr.Unmap())
		}
		if len(entries) == 0 {
			l.rep.add(t.place("action"), &fault{"has no address", `write the addresses that are answered, such as ["10.0.0.9"]`})
		}
		return
	}
	text, is := t.text("action", "nxdomain")
	action, known := policy.ParseAction(text)
	if given && is && !known {
		l.rep.add(t.place("action"), faultf("write one of "+strings.Join(policy.Actions(), ", ")+`, or addresses, such as ["10.0.0.9"]`,
			"%q is no action", text))
	}
	draft.options.Action = action
}

// policyError reads the extended error (RFC 8914) that answers come with.
func (l *loader) policyError(t table) uint16 {
	text, given := t.text("error", "blocked")
	codes := map[string]uint16{
		"blocked": dns.ExtendedErrorCodeBlocked, "censored": dns.ExtendedErrorCodeCensored, "filtered": dns.ExtendedErrorCodeFiltered,
	}
	if given && codes[text] == 0 {
		l.rep.add(t.place("error"), faultf("write blocked, censored or filtered", "%q is no extended error for a policy", text))
	}
	return codes[text]
}

// policyFormat reads which form the files have.
func (l *loader) policyFormat(t table) (policy.Format, zones.Name) {
	format := policy.ByContent
	if text, given := t.text("format", "rpz"); given {
		var known bool
		if format, known = policy.ParseFormat(text); !known {
			l.rep.add(t.place("format"), faultf("write rpz or list, or leave it away: then it is told by what is in a file",
				"%q is no form of a file", text))
		}
	}
	text, given := t.text("zone", "rpz.contoso.com")
	if !given {
		return format, zones.Name{}
	}
	zone, f := parseSuffix(text)
	if f == nil && format == policy.List {
		f = &fault{"is for response policy zones alone", "remove it, or write format = \"rpz\""}
	}
	if f != nil {
		l.rep.add(t.place("zone"), f)
	}
	return format, zone
}

// heldTo reads the policies that a network names.
func (l *loader) heldTo(t table, draft *networkDraft) {
	if !t.has("policy") {
		return
	}
	draft.policies, _ = t.texts("policy", "ads")
}

// finishPolicies gives a network the policies that it names. Each is made once, however
// many name it.
func (l *loader) finishPolicies(draft *networkDraft) {
	seen := make(map[string]bool)
	for _, e := range draft.policies {
		if seen[e.text] {
			l.rep.add(e.place, alreadyFault(e.text))
			continue
		}
		seen[e.text] = true
		named := l.policyDrafts[e.text]
		if named == nil && e.text == policy.BrowserDoH {
			named = &policyDraft{keptPolicy: keptPolicy{made: policy.NewBrowserDoH()}}
			l.policyDrafts[e.text] = named
		}
		if named == nil {
			l.rep.add(e.place, l.unknownPolicy(e.text))
			continue
		}
		if named.made == nil {
			named.make()
		}
		draft.Policies = append(draft.Policies, named.made)
	}
}

// make makes the policy, unless it was made of the same before.
func (d *policyDraft) make() {
	if d.made = d.kept; d.made == nil {
		d.made = d.builder.Build(d.options)
	}
}

// keepPolicies has the policies at hand for the next reading.
func (l *loader) keepPolicies() {
	policies := make(map[string]*keptPolicy)
	for name, draft := range l.policyDrafts {
		if draft.made != nil && draft.read && len(draft.files) > 0 {
			kept := draft.keptPolicy
			policies[name] = &kept
		}
	}
	l.kept.keep(policies)
}

// unknownPolicy is the fault of naming what no file defines.
func (l *loader) unknownPolicy(name string) *fault {
	known := append(slices.Collect(maps.Keys(l.policyDrafts)), policy.BrowserDoH)
	slices.Sort(known)
	remedy := fmt.Sprintf("define [%s], or write one of: %s", join("policy", name), strings.Join(slices.Compact(known), ", "))
	return faultf(remedy, "policy %q is not defined", name)
}

// warnOfPolicies reports policies that no network is held to.
func (l *loader) warnOfPolicies() {
	for _, name := range slices.Sorted(maps.Keys(l.policyDrafts)) {
		if draft := l.policyDrafts[name]; draft.made == nil {
			remedy := fmt.Sprintf("write policy = [%q] in a network, or remove it", name)
			l.rep.warn(draft.place, faultf(remedy, "no network is held to policy %s", name))
		}
	}
}

// Policies are all that networks are held to, each once, by name.
func (c *Config) Policies() []*policy.Policy {
	all := make(map[string]*policy.Policy)
	for i := range c.Networks {
		for _, p := range c.Networks[i].Policies {
			all[p.Name()] = p
		}
	}
	var list []*policy.Policy
	for _, name := range slices.Sorted(maps.Keys(all)) {
		list = append(list, all[name])
	}
	return list
}
