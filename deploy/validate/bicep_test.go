package validate_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

var (
	bicepDeclaration = regexp.MustCompile(`(?m)^(?:targetScope|param|var|resource|module|output).*$`)
	bicepSymbol      = regexp.MustCompile(`(?m)^(?:param|var|resource|module) (\w+)`)
	bicepParameter   = regexp.MustCompile(`(?m)^param (\w+) \w+(?: = (.*))?$`)
	bicepModule      = regexp.MustCompile(`(?ms)^module \w+ '([^']+)'.*?params: \{(.*?)\}`)
	bicepGiven       = regexp.MustCompile(`(\w+): `)
	capital          = regexp.MustCompile(`[A-Z]`)
	word             = regexp.MustCompile(`'([^']*)'`)
)

// bicepFiles are the texts of the Bicep files, by name.
func bicepFiles(t *testing.T) map[string]string {
	t.Helper()
	paths, err := filepath.Glob("../azure/*.bicep")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no Bicep: %v", err)
	}
	files := map[string]string{}
	for _, path := range paths {
		files[filepath.Base(path)] = read(t, path)
	}
	return files
}

// Bicep's own compiler is in no package that could be had, so this only shows what
// the files declare, and that nothing of it changes unnoticed. "go test -update"
// writes the golden files anew.
func TestBicepDeclarations(t *testing.T) {
	for name, text := range bicepFiles(t) {
		for _, pair := range []string{"{}", "[]", "()"} {
			if strings.Count(text, pair[:1]) != strings.Count(text, pair[1:]) {
				t.Errorf("%s: unequal numbers of %s", name, pair)
			}
		}
		got := strings.Join(bicepDeclaration.FindAllString(text, -1), "\n") + "\n"
		golden := filepath.Join("testdata", strings.TrimSuffix(name, ".bicep")+".golden")
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want := read(t, golden); got != want {
			t.Errorf("%s declares:\n%s\nthe golden file has:\n%s", name, got, want)
		}
	}
}

// What a Bicep file declares is used in it, but for resources that stand for themselves,
// and a module is given the parameters that it has, all of them.
func TestBicepReferences(t *testing.T) {
	files := bicepFiles(t)
	for name, text := range files {
		for _, declared := range bicepSymbol.FindAllStringSubmatch(text, -1) {
			uses := len(regexp.MustCompile(`\b`+declared[1]+`\b[^:]`).FindAllString(text, -1))
			alone := strings.HasPrefix(declared[0], "resource") && (declared[1] == "assignment" || declared[1] == "apply")
			if uses < 2 && !alone {
				t.Errorf("%s: %s is declared and not used", name, declared[1])
			}
		}
		for _, module := range bicepModule.FindAllStringSubmatch(text, -1) {
			var given, wanted []string
			for _, parameter := range bicepGiven.FindAllStringSubmatch(module[2], -1) {
				given = append(given, parameter[1])
			}
			for _, parameter := range bicepParameter.FindAllStringSubmatch(files[module[1]], -1) {
				wanted = append(wanted, parameter[1])
			}
			slices.Sort(given)
			slices.Sort(wanted)
			if len(wanted) == 0 || !slices.Equal(given, wanted) {
				t.Errorf("%s gives %s the parameters %v, and it has %v", name, module[1], given, wanted)
			}
		}
	}
}

// defaultOf is a default of Terraform as Bicep writes it, and whether it is one that
// both can say.
func defaultOf(t *testing.T, block *hclsyntax.Block) (string, bool) {
	t.Helper()
	attribute := block.Body.Attributes["default"]
	if attribute == nil {
		return "", true
	}
	value, problems := attribute.Expr.Value(nil)
	if problems.HasErrors() {
		t.Fatal(problems)
	}
	quoted := func(v cty.Value) string { return "'" + v.AsString() + "'" }
	switch {
	case value.IsNull():
		return "", false
	case value.Type() == cty.String:
		return quoted(value), true
	case value.Type() == cty.Bool:
		return map[bool]string{true: "true", false: "false"}[value.True()], true
	}
	var all []string
	for _, element := range value.AsValueSlice() {
		all = append(all, quoted(element))
	}
	return "[" + strings.Join(all, ", ") + "]", true
}

// The two descriptions of the hub have the same parameters, with the same meaning and
// the same defaults. Terraform is told the resource group, and takes the region from it.
func TestBicepAndTerraformAgree(t *testing.T) {
	text := read(t, "../azure/hub.bicep")
	described := map[string]string{}
	for _, found := range regexp.MustCompile(`(?m)^@description\('(.*)'\)\nparam (\w+)`).FindAllStringSubmatch(text, -1) {
		described[found[2]] = found[1]
	}
	bicep := map[string][2]string{}
	for _, parameter := range bicepParameter.FindAllStringSubmatch(text, -1) {
		name := capital.ReplaceAllStringFunc(parameter[1], func(letter string) string { return "_" + strings.ToLower(letter) })
		bicep[name] = [2]string{parameter[2], described[parameter[1]]}
	}
	delete(bicep, "location")
	for _, block := range terraform(t).Blocks {
		if block.Type != "variable" || block.Labels[0] == "resource_group" {
			continue
		}
		name := block.Labels[0]
		other, known := bicep[name]
		delete(bicep, name)
		value, same := defaultOf(t, block)
		if !known || same && value != other[0] {
			t.Errorf("%s is %q in Bicep, and %q in Terraform", name, other[0], value)
		}
		description, _ := block.Body.Attributes["description"].Expr.Value(nil)
		if same && description.AsString() != other[1] {
			t.Errorf("%s is described as %q in Bicep, and as %q in Terraform", name, other[1], description.AsString())
		}
	}
	for name := range bicep {
		t.Errorf("Terraform has no %s", name)
	}
}

// attributes are the literal texts of an attribute, wherever it stands below a body.
func attributes(t *testing.T, body *hclsyntax.Body, name string) (texts []string) {
	t.Helper()
	if attribute := body.Attributes[name]; attribute != nil {
		if value, problems := attribute.Expr.Value(nil); !problems.HasErrors() {
			if value.Type() == cty.String {
				return []string{value.AsString()}
			}
			for _, element := range value.AsValueSlice() {
				texts = append(texts, element.AsString())
			}
		}
	}
	for _, block := range body.Blocks {
		texts = append(texts, attributes(t, block.Body, name)...)
	}
	return texts
}

// The role has the same rights in both, all of them to read, and they are those that the
// page about learning says.
func TestRole(t *testing.T) {
	_, listed, _ := strings.Cut(read(t, "../azure/reader.bicep"), "actions: [")
	listed, _, _ = strings.Cut(listed, "]")
	var bicep []string
	for _, action := range word.FindAllStringSubmatch(listed, -1) {
		bicep = append(bicep, action[1])
	}
	page := regexp.MustCompile(`(?m)^ +(Microsoft\.\S+)$`).FindAllStringSubmatch(read(t, "../../config/azurediscovery/README.md"), -1)
	var told []string
	for _, action := range page {
		told = append(told, action[1])
	}
	if actions := attributes(t, terraform(t), "actions"); len(bicep) == 0 || !slices.Equal(actions, bicep) || !slices.Equal(told, bicep) {
		t.Errorf("Bicep gives %q, Terraform %q, the page says %q", bicep, actions, told)
	}
	for _, action := range bicep {
		if !strings.HasSuffix(action, "/read") {
			t.Errorf("%s does more than read", action)
		}
	}
}

// Both let the same in, in the same order.
func TestSecurityRules(t *testing.T) {
	text := read(t, "../azure/hub.bicep")
	rules := regexp.MustCompile(`(?s)var \w+Rule = \{.*?\n\}\n`).FindAllString(text, -1)
	at := slices.IndexFunc(terraform(t).Blocks, func(b *hclsyntax.Block) bool {
		return address(b) == "azurerm_network_security_group.pldns"
	})
	group := terraform(t).Blocks[at]
	for key, name := range map[string]string{
		"name": "name", "access": "access", "protocol": "protocol", "sourceAddressPrefix": "source_address_prefix",
		"destinationPortRange": "destination_port_range", "destinationPortRanges": "destination_port_ranges",
	} {
		var bicep []string
		for _, rule := range rules {
			if found := regexp.MustCompile(key + `: (.*)`).FindStringSubmatch(rule); found != nil {
				for _, quoted := range word.FindAllStringSubmatch(found[1], -1) {
					bicep = append(bicep, quoted[1])
				}
			}
		}
		var other []string
		for _, block := range group.Body.Blocks {
			other = append(other, attributes(t, block.Body, name)...)
		}
		if len(bicep) == 0 || !slices.Equal(bicep, other) {
			t.Errorf("%s: Bicep has %q, Terraform %q", key, bicep, other)
		}
	}
	if len(rules) != 4 {
		t.Errorf("%d rules", len(rules))
	}
}

// Nothing that a second deployment sends says which subnets a network has, or anything
// else of it: what is left out would be taken away.
func TestNetworkIsLeftAlone(t *testing.T) {
	for name, text := range bicepFiles(t) {
		for _, line := range strings.Split(text, "\n") {
			if strings.Contains(line, "'Microsoft.Network/virtualNetworks@") && !strings.Contains(line, " existing = ") {
				t.Errorf("%s deploys a network: %s", name, line)
			}
		}
		if strings.Contains(text, "subnets: [") {
			t.Errorf("%s lists the subnets of a network", name)
		}
	}
	for _, block := range terraform(t).Blocks {
		if block.Type == "resource" && block.Labels[0] == "azurerm_virtual_network" {
			t.Error("hub.tf deploys a network")
		}
	}
}

// What the two fill in is there to be filled in, and what is there is filled in.
func TestFilledIn(t *testing.T) {
	script, config := read(t, "../azure/apply.sh"), read(t, "../azure/pldns.toml")
	const noID = "00000000-0000-0000-0000-000000000000"
	const noNetwork = "/subscriptions/" + noID + "/resourceGroups/hub/providers/Microsoft.Network/virtualNetworks/hub"
	for text, times := range map[string]int{`"` + noID + `"`: 1, `"/subscriptions/` + noID + `"`: 1, `"` + noNetwork + `"`: 1, noID: 3} {
		if got := strings.Count(config, text); got != times {
			t.Errorf("the configuration has %s %d times, not %d", text, got, times)
		}
	}
	gaps := regexp.MustCompile(`@[A-Z]+@`).FindAllString(script, -1)
	if len(gaps) != 3 {
		t.Errorf("the script has the gaps %q", gaps)
	}
	for _, file := range []string{"hub.bicep", "hub.tf"} {
		text := read(t, "../azure/"+file)
		for _, want := range append(gaps, noID, "/resourceGroups/hub/providers/Microsoft.Network/virtualNetworks/hub", "apply.sh", "cloud-init.yaml", "pldns.toml") {
			if !strings.Contains(text, want) {
				t.Errorf("%s does not know %s", file, want)
			}
		}
	}
}
