package azure_test

import (
	"errors"
	"strings"
	"testing"

	"pldns/zones"
	"pldns/zones/azure"
)

// What an operator teaches the catalogue it answers as if it had known it.
func TestWith(t *testing.T) {
	catalogue, errs := azure.New().With([]azure.Row{
		{Zone: "privatelink.alb.azure.com", Public: []string{"{labels}.alb.azure.com"}, Service: "Application Gateway for Containers"},
		{Zone: "privatelink.signalr.azure.us", Public: []string{"{name}.service.signalr.azure.us <=> {name}.privatelink.signalr.azure.us"},
			Cloud: azure.USGov},
		{Zone: "privatelink.{region}.maps.azure.com", Public: []string{"{account}.{region}.maps.azure.com"}},
		{Zone: "privatelink.odd.example", Public: []string{"{a}.{b}.even.example <=> {a}.privatelink.odd.example"}},
		{Zone: "privatelink.own.example"},
		// A row of the table that is known to be wrong: the operator's word counts.
		{Zone: "privatelink.azurecr.us", Public: []string{"{name}.{region}.azurecr.us <=> {name}.privatelink.azurecr.us"}},
	})
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for public, want := range map[string]string{
		"pfe1.abc123.alb.azure.com":        "pfe1.abc123.privatelink.alb.azure.com",
		"contoso.service.signalr.azure.us": "contoso.privatelink.signalr.azure.us",
		"acct.eastus.maps.azure.com":       "acct.privatelink.eastus.maps.azure.com",
		"x.y.even.example":                 "x.privatelink.odd.example",
		"r.usgovvirginia.azurecr.us":       "r.privatelink.azurecr.us",
		"mydb.database.windows.net":        "mydb.privatelink.database.windows.net",
	} {
		match, err := catalogue.Derive(zones.MustName(public))
		if err != nil || match.Private.String() != want {
			t.Errorf("%s: %s, %v, want %s", public, match.Private, err, want)
		}
	}
	match, ok := catalogue.ZoneOf(zones.MustName("pfe1.abc123.privatelink.alb.azure.com"))
	if !ok || match.Entry.Service != "Application Gateway for Containers" || match.Entry.Source != "configuration" {
		t.Errorf("found %v, %+v", ok, match.Entry)
	}
	if match, ok := catalogue.ZoneOf(zones.MustName("x.privatelink.own.example")); !ok || !match.Entry.PrivateOnly {
		t.Errorf("a zone without public names: %v, %+v", ok, match.Entry)
	}
	if match, _ := catalogue.ZoneOf(zones.MustName("x.privatelink.azurecr.us")); match.Entry.Service != "Azure Container Registry" {
		t.Errorf("the zone is said to be of %s", match.Entry.Service)
	}
	if _, err := azure.New().Derive(zones.MustName("pfe1.abc123.alb.azure.com")); !errors.Is(err, azure.ErrNotInCatalogue) {
		t.Errorf("the embedded catalogue has it, too: %v", err)
	}
}

func TestWithFindsMistakes(t *testing.T) {
	good := azure.Row{Zone: "privatelink.horizondb.example", Public: []string{"{name}.horizondb.example"}}
	for name, test := range map[string]struct {
		row  azure.Row
		want string
	}{
		"no zone": {azure.Row{Public: []string{"{name}.x.example"}}, "a label is empty"},
		"no privatelink label": {azure.Row{Zone: "x.example", Public: []string{"{name}.x.example"}},
			"does not begin with the label privatelink"},
		"no domain": {azure.Row{Zone: "privatelink.example", Public: []string{"{name}.example"}},
			"has no domain behind its first label"},
		"a cloud of nobody": {azure.Row{Zone: "privatelink.x.example", Cloud: "mars"}, `unknown cloud "mars"`},
		"a placeholder further": {azure.Row{Zone: "privatelink.x.{region}.y.example", Public: []string{"{name}.x.{region}.y.example"}},
			"not its second label"},
		"a form of one name": {azure.Row{Zone: "privatelink.x.example", Public: []string{"x.example"}}, "write {name}.x.example"},
		"a form of a TLD":    {azure.Row{Zone: "privatelink.x.example", Public: []string{"{name}.example"}}, "top-level domain"},
		"a form that is private": {azure.Row{Zone: "privatelink.x.example", Public: []string{"{name}.privatelink.x.example"}},
			"which no public name has"},
		"an open brace":         {azure.Row{Zone: "privatelink.x.example", Public: []string{"{name.x.example"}}, "open brace"},
		"a form of another row": {azure.Row{Zone: "privatelink.y.example", Public: []string{"{name}.horizondb.example"}}, "stands in two rows"},
		"a form twice": {azure.Row{Zone: "privatelink.x.example", Public: []string{"{name}.x.example", "{NAME}.x.example."}},
			"twice in one"},
		"a region from nowhere": {azure.Row{Zone: "privatelink.{region}.x.example", Public: []string{"{name}.y.example"}}, "has no {region}"},
		"a private form of nobody": {azure.Row{Zone: "privatelink.x.example",
			Public: []string{"{name}.x.example <=> {name}.privatelink.y.example"}},
			"in no private zone"},
	} {
		t.Run(name, func(t *testing.T) {
			catalogue, errs := azure.New().With([]azure.Row{good, test.row})
			if errs[0] != nil || errs[1] == nil || !strings.Contains(errs[1].Error(), test.want) {
				t.Errorf("%v, want %q of the second row alone", errs, test.want)
			}
			if _, err := catalogue.Derive(zones.MustName("a.horizondb.example")); err != nil {
				t.Errorf("the good row is lost: %v", err)
			}
		})
	}
}

// Mistakes of operators, and what they meant.
func TestGuess(t *testing.T) {
	guesser := azure.New().Guesser()
	for name, want := range map[string]string{
		"a.databse.windows.net":               "a.database.windows.net",
		"a.database.windows.com":              "a.database.windows.net",
		"a.database.widnows.net":              "a.database.windows.net",
		"kv.vault.windows.net":                "kv.vault.azure.net",
		"a.privatelink.databse.windows.net":   "a.database.windows.net",
		"a.blob.core.windows.net.privatelink": "a.blob.core.windows.net",
		"a.privatelink.blob.windows.net":      "a.blob.core.windows.net",
		"a.blob.windows.net":                  "a.blob.core.windows.net",
		"acr.azurecr.com":                     "acr.azurecr.io",
		"acr.azrecr.io":                       "acr.azurecr.io",
		"app.azurewebsite.net":                "app.azurewebsites.net",
		"w.sql.azuresynpase.net":              "w.sql.azuresynapse.net",
		"a.privatelnk.database.windows.net":   "none", // too many labels is a fault of its own
		// Odd, and nothing is near.
		"portal.azure.com":                     "",
		"vm1.westeurope.cloudapp.azure.com":    "",
		"x.privatelink.snowflakecomputing.com": "",
		// Nothing odd.
		"api.contoso.com":                       "none",
		"mydb.database.windows.net":             "none",
		"mydb.privatelink.database.windows.net": "none",
		"sql.contoso.net":                       "none",
		"windows.contoso.net":                   "none",
		"net":                                   "none",
		".":                                     "none",
	} {
		guess, odd := guesser.Guess(zones.MustName(name))
		got := guess.Meant.String()
		if !odd {
			got = "none"
		}
		if guess.Meant.IsZero() && odd {
			got = ""
		}
		if got != want {
			t.Errorf("%s looks like %q, want %q", name, got, want)
		}
	}
	if guess, _ := guesser.Guess(zones.MustName("vm1.westeurope.cloudapp.azure.com")); !guess.IsMicrosoft || guess.Domain.String() != "azure.com" {
		t.Errorf("%+v", guess)
	}
	if guess, _ := guesser.Guess(zones.MustName("a.database.windows.com")); guess.IsMicrosoft || guess.Domain.String() != "windows.net" {
		t.Errorf("%+v", guess)
	}
}

// FuzzGuess shows that whatever is meant fits a row, and that a name that fits one is
// never odd.
func FuzzGuess(f *testing.F) {
	catalogue := azure.New()
	for _, seed := range []string{"a.databse.windows.net", "a.privatelink.blob.windows.net", "net", "0.0", ".", `a\.b.database.windows.com`, "*.vault.windows.net"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		name, err := zones.ParseName(text)
		if err != nil {
			return
		}
		guess, odd := catalogue.Guesser().Guess(name)
		_, isPrivate := catalogue.ZoneOf(name)
		_, derive := catalogue.Derive(name)
		if odd && (isPrivate || derive == nil) {
			t.Errorf("%s fits a row, and is odd", name)
		}
		if guess.Meant.IsZero() {
			return
		}
		if _, err := catalogue.Derive(guess.Meant); errors.Is(err, azure.ErrNotInCatalogue) {
			t.Errorf("%s means %s, which fits no row", name, guess.Meant)
		}
	})
}

func BenchmarkGuessStranger(b *testing.B) {
	guesser, name := azure.New().Guesser(), zones.MustName("api.internal.contoso.com")
	b.ReportAllocs()
	for b.Loop() {
		guesser.Guess(name)
	}
}
