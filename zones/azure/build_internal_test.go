package azure

import (
	"strings"
	"testing"
)

// A mistake in the data file is found when it is read, and the text says where.
func TestBuildFindsMistakes(t *testing.T) {
	for name, row := range map[string]struct{ line, want string }{
		"a cloud that does not exist":  {"mars,c,s,t,u,privatelink.x.net,x.net,,table,2026-05,current,", `unknown cloud "mars"`},
		"a status that does not exist": {"public,c,s,t,u,privatelink.x.net,x.net,,table,2026-05,new,", `unknown status "new"`},
		"a row from nowhere":           {"public,c,s,t,u,privatelink.x.net,x.net,,,2026-05,current,", "where the row is from"},
		"a row of some time":           {"public,c,s,t,u,privatelink.x.net,x.net,,table,lately,current,", "when that was so"},
		"a field too few":              {"public,c,s,t,u,privatelink.x.net,x.net,,table,2026-05,current", "wrong number of fields"},
		"no privatelink label":         {"public,c,s,t,u,private.x.net,x.net,,table,2026-05,current,", "no privatelink label"},
		"a placeholder in the middle": {"public,c,s,t,u,privatelink.x.{region}.net,{region}.net,,table,2026-05,current,",
			"not its second label"},
		"a global zone with regions": {"public,c,s,t,u,privatelink-global.{region}.net,{region}.net,,table,2026-05,current,",
			"not its second label"},
		"an open brace":   {"public,c,s,t,u,privatelink.x.net,x.net,{name.x.net,table,2026-05,current,", "open brace"},
		"an empty label":  {"public,c,s,t,u,privatelink.x.net,x.net,a..x.net,table,2026-05,current,", "a label is empty"},
		"capital letters": {"public,c,s,t,u,privatelink.x.net,X.net,,table,2026-05,current,", "text in lower case"},
		"labels in the middle": {"public,c,s,t,u,privatelink.x.net,x.net,a.{labels}.x.net,table,2026-05,current,",
			"whole labels at the left"},
		"a form of another zone": {"public,c,s,t,u,privatelink.x.net,x.net,{name}.y.net,table,2026-05,current,",
			"not in a public zone of the row"},
		"a private form of another":    {"public,c,s,t,u,privatelink.x.net,x.net,{name}.x.net => {name}.privatelink.y.net,table,2026-05,current,", "in no private zone"},
		"a private form that reorders": {"public,c,s,t,u,privatelink.x.net,x.net,{a}.{b}.x.net => {b}.privatelink.x.net,table,2026-05,current,", "leftmost labels"},
		"a private form without record": {"public,c,s,t,u,privatelink.x.net,x.net,{a}.x.net => privatelink.x.net,table,2026-05,current,",
			"leftmost labels"},
		"a region from nowhere": {"public,c,s,t,u,privatelink.{region}.x.net,x.net,,table,2026-05,current,", "has no {region}"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := build(header + "\n" + row.line + "\n")
			if err == nil || !strings.Contains(err.Error(), row.want) || !strings.Contains(err.Error(), "row") && !strings.Contains(err.Error(),
				"record") {
				t.Errorf("%v, want a row and %q", err, row.want)
			}
		})
	}
	if _, err := build("cloud,zone\n"); err == nil {
		t.Error("a file with other columns was read")
	}
}

// What a later revision superseded decides only where nothing current does, also
// when the current zone is a parent of it.
func TestSupersededRowsGiveWay(t *testing.T) {
	c, err := build(header + `
public,c,old,t,u,privatelink.b.x.net,b.x.net,,table,2023-10,legacy,
public,c,old,t,u,privatelink.y.net,y.net,,table,2023-10,legacy,
public,c,new,t,u,privatelink.x.net,x.net,{labels}.x.net,table,2026-05,current,
`)
	if err != nil {
		t.Fatal(err)
	}
	for suffix, want := range map[string]string{"x.net.": "new", "y.net.": "old", "b.x.net.": ""} {
		service := ""
		if s := c.suffixes[suffix]; s != nil {
			service = s.entry.Service
		}
		if service != want {
			t.Errorf("%s is decided by %q, want %q", suffix, service, want)
		}
	}
	if c.fixed["privatelink.b.x.net."] == nil {
		t.Error("the superseded zone is not recognised")
	}
}
