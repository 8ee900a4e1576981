package azurediscovery_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pldns/config/azurediscovery"
	"pldns/config/azuregraph/graphtest"
)

func readFile(name string) (string, error) {
	data, err := os.ReadFile(name)
	return string(data), err
}

// several adds so many databases, and gives what is served of them.
func (w *world) several(count int) (ids, served []string) {
	for i := range count {
		name, address := fmt.Sprintf("db%03d", i), fmt.Sprintf("10.0.%d.%d", 1+i/200, 4+i%200)
		ids = append(ids, w.add(name, address))
		served = append(served, fmt.Sprintf("%s.database.windows.net [%s]", name, address))
	}
	return ids, served
}

// What a listing lacks goes when a second one in a row lacks it, too.
func TestRemovalTakesTwoListings(t *testing.T) {
	w := newWorld(t, hubSees)
	ids, served := w.several(3)
	w.list()
	w.wants("hub", served...)
	w.Delete(ids[0])
	w.list()
	w.wants("hub", served...)
	if leaving := w.d.Status().Leaving; len(leaving) == 0 || leaving[0].ID != ids[0] || leaving[0].Why != "it is not listed any more" || len(leaving[0].Names) != 1 {
		t.Errorf("leaving %+v", leaving)
	}
	w.fails2()
	w.wants("hub", served...)
	w.list()
	w.wants("hub", served[1:]...)
	w.add("db000", "10.0.9.9") // it comes back
	w.list()
	w.wants("hub", append([]string{"db000.database.windows.net [10.0.9.9]"}, served[1:]...)...)
}

// fails2 lists while Azure answers nothing: what fails is no listing that lacks anything.
func (w *world) fails2() {
	w.t.Helper()
	w.Fail(graphtest.Status(http.StatusForbidden))
	w.fails()
}

// One that comes back between two listings has not been missed.
func TestMissedOnceOnly(t *testing.T) {
	w := newWorld(t, hubSees)
	ids, served := w.several(3)
	w.list()
	for range 3 {
		w.Delete(ids[0])
		w.list()
		w.wants("hub", served...)
		w.add("db000", "10.0.1.4")
		w.list()
		w.wants("hub", served...)
	}
	if leaving := w.d.Status().Leaving; len(leaving) != 0 {
		t.Errorf("leaving %+v", leaving)
	}
}

// An endpoint whose connection ends leaves after two listings, with the reason.
func TestDisconnected(t *testing.T) {
	for _, change := range []graphtest.Endpoint{{Status: "Disconnected"}, {Status: "Rejected"}, {State: "Deleting"}} {
		w := newWorld(t, hubSees)
		_, served := w.several(2)
		w.list()
		change.Subscription, change.Name, change.VNet, change.Address, change.Names = w.sub, "db000", w.hub, "10.0.1.4", []string{"db000.database.windows.net"}
		w.Add(change)
		w.list()
		w.wants("hub", served...)
		if leaving := w.d.Status().Leaving; len(leaving) != 1 || leaving[0].Why != change.Status+change.State {
			t.Errorf("leaving %+v", leaving)
		}
		w.list()
		w.wants("hub", served[1:]...)
	}
}

// More than a tenth at once, and more than 20, wait until somebody accepts them, and are
// listed until then; what is added meanwhile is served.
func TestManyRemovals(t *testing.T) {
	for _, row := range []struct{ there, go_ int }{{15, 2}, {300, 21}} {
		w := newWorld(t, hubSees)
		ids, served := w.several(row.there)
		w.list()
		w.Delete(ids[:row.go_]...)
		for range 5 {
			w.list()
		}
		w.wants("hub", served...)
		held := w.d.Status().Held
		if len(held) != row.go_ {
			t.Fatalf("%d are held", len(held))
		}
		fresh := w.add("fresh", "10.0.8.8")
		w.list()
		now := append(served, "fresh.database.windows.net [10.0.8.8]")
		w.wants("hub", now...)
		w.Delete(fresh) // one that is usual does not wait with them
		w.list()
		w.list()
		w.wants("hub", served...)
		w.add("fresh", "10.0.8.8")
		w.list()
		w.wants("hub", now...)
		w.start() // it is remembered over a restart
		w.wants("hub", now...)
		if marked := w.d.Accept(nil); marked != row.go_ {
			t.Errorf("%d are accepted", marked)
		}
		w.wants("hub", now...)
		w.list()
		w.wants("hub", now[row.go_:]...)
	}
}

// What is held and comes back is held no more.
func TestHeldComesBack(t *testing.T) {
	w := newWorld(t, hubSees)
	ids, served := w.several(30)
	w.list()
	w.Delete(ids...)
	w.list()
	w.list()
	w.wants("hub", served...)
	w.several(30)
	w.list()
	if s := w.d.Status(); len(s.Held)+len(s.Leaving) != 0 {
		t.Errorf("held %d, leaving %d", len(s.Held), len(s.Leaving))
	}
	w.wants("hub", served...)
}

// A tenth of the usual kind goes by itself.
func TestFewRemovals(t *testing.T) {
	w := newWorld(t, hubSees)
	ids, served := w.several(50)
	w.list()
	w.Delete(ids[:5]...)
	w.list()
	w.list()
	w.wants("hub", served[5:]...)
}

// A subscription that the identity may not read any more keeps its endpoints, and
// somebody is told; an operator can let it go.
func TestLostSubscription(t *testing.T) {
	w := newWorld(t, hubSees)
	_, served := w.several(5)
	second := w.Subscription(2)
	w.Add(graphtest.Endpoint{Subscription: second, Name: "other", VNet: w.hub, Address: "10.0.9.4", Names: []string{"other.database.windows.net"}})
	all := append(served, "other.database.windows.net [10.0.9.4]")
	w.list()
	w.wants("hub", all...)
	w.Hide(second, true)
	for range 4 {
		w.list()
		w.wants("hub", all...)
	}
	gone := 0
	for _, s := range w.d.Status().Subscriptions {
		if !s.Gone.IsZero() {
			gone++
			if s.ID != second || s.Name != "subscription 2" {
				t.Errorf("%+v is gone", s)
			}
		}
	}
	if gone != 1 {
		t.Errorf("%d subscriptions are gone", gone)
	}
	if marked := w.d.Accept(nil); marked != 0 {
		t.Errorf("%d resources were accepted that nobody named", marked)
	}
	w.Hide(second, false)
	w.list()
	for _, s := range w.d.Status().Subscriptions {
		if !s.Gone.IsZero() {
			t.Errorf("%s is back, and gone", s.ID)
		}
	}
	w.Hide(second, true)
	w.list()
	if w.d.Accept([]string{second}) == 0 {
		t.Error("nothing is let go")
	}
	w.list()
	w.wants("hub", served...)
}

// An identity that lost all of its subscriptions changes nothing.
func TestLostEverything(t *testing.T) {
	w := newWorld(t, hubSees)
	_, served := w.several(3)
	w.list()
	w.Hide(w.sub, true)
	for range 4 {
		w.list()
	}
	w.wants("hub", served...)
}

// An identity that may read only one of the two kinds of resource that an endpoint is
// made of takes nothing away.
func TestLostType(t *testing.T) {
	for _, kind := range []string{"microsoft.network/networkinterfaces", "microsoft.network/privateendpoints"} {
		w := newWorld(t, hubSees)
		_, served := w.several(1) // so few that the number would not be unusual
		w.list()
		w.Blind(kind, true)
		for range 4 {
			w.list()
		}
		w.wants("hub", served...)
	}
}

// Whatever Azure does, what was known goes on, over a restart as well; and afterwards
// all is as it should be.
func TestFaults(t *testing.T) {
	for name, faults := range map[string][]graphtest.Fault{
		"no role":      {graphtest.Status(http.StatusForbidden)},
		"bad request":  {graphtest.Status(http.StatusBadRequest)},
		"no token":     {graphtest.NoToken(http.StatusBadRequest)},
		"half pages":   {graphtest.Half(), graphtest.Half(), graphtest.Half()},
		"no tenant":    {graphtest.Status(http.StatusUnauthorized)},
		"out of order": {graphtest.Status(http.StatusNotImplemented)},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, hubSees)
			_, served := w.several(3)
			if name == "no token" {
				w.Fail(faults...)
				w.fails()
				w.wants("hub")
			}
			w.list()
			w.wants("hub", served...)
			before := w.d.Status().Taken
			if name != "no token" { // there is one now, for a day
				w.Fail(faults...)
				if err := w.fails(); strings.Contains(err.Error(), "\n") {
					t.Errorf("the error has several lines: %v", err)
				}
				status := w.d.Status()
				if status.Error == nil || !status.Taken.Equal(before) {
					t.Errorf("error %v, taken %s and %s", status.Error, before, status.Taken)
				}
				w.wants("hub", served...)
				w.Heal()
			}
			w.start()
			w.wants("hub", served...)
			w.add("fresh", "10.0.8.8")
			w.list()
			w.wants("hub", append(served, "fresh.database.windows.net [10.0.8.8]")...)
		})
	}
}

// A deadline ends a listing that takes too long.
func TestDeadline(t *testing.T) {
	w := newWorld(t, hubSees)
	_, served := w.several(1)
	w.list()
	ctx, cancel := context.WithCancel(context.Background())
	w.Fail(graphtest.Fault{Of: "graph", Do: func(http.ResponseWriter, func() []byte) bool {
		cancel()
		return false
	}})
	if err := w.d.Refresh(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("the listing ends with %v", err)
	}
	w.wants("hub", served...)
}

// Without Azure, a start serves what is on disk; a file that is damaged, of another
// source or of another tenant is refused, and says why.
func TestState(t *testing.T) {
	w := newWorld(t, hubSees)
	_, served := w.several(3)
	w.list()
	w.Hide(w.sub, true)
	w.start()
	w.wants("hub", served...)
	good, err := os.ReadFile(w.state)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(w.state); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	a := w.base.Azure[0]
	for name, row := range map[string]struct {
		data []byte
		want string
	}{
		"cut short": {good[:len(good)-10], "damaged"},
		"changed":   {bytes.Replace(good, []byte("10.0.1.4"), []byte("10.6.6.6"), 1), "damaged"},
		"other":     {bytes.Replace(good, []byte(`"source":"corp"`), []byte(`"source":"dev"`), 1), "[azure.dev]"},
		"cloud":     {bytes.Replace(good, []byte(`"cloud":"public"`), []byte(`"cloud":"china"`), 1), "another cloud"},
		"version":   {bytes.Replace(good, []byte(`"pldns_state":1`), []byte(`"pldns_state":9`), 1), "another version"},
		"text":      {[]byte("hello"), "no state"},
		"empty":     {nil, "no state"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(w.state, row.data, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := azurediscovery.Restore(a); err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("Restore gives %v", err)
			}
			w.start()
			w.wants("hub")
			if w.d.Status().Restored == nil {
				t.Error("nobody is told")
			}
		})
	}
	if err := os.WriteFile(w.state, good, 0o600); err != nil {
		t.Fatal(err)
	}
	a.Tenant = "99999999-2222-3333-4444-555555555555"
	if _, err := azurediscovery.Restore(a); err == nil || !strings.Contains(err.Error(), "another tenant") {
		t.Errorf("another tenant: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(w.state), ".state*")); len(left) > 0 {
		t.Errorf("files are left over: %v", left)
	}
}

// An identity that reads another tenant than before is not believed.
func TestOtherTenant(t *testing.T) {
	w := newWorld(t, hubSees)
	_, served := w.several(3)
	w.list()
	w.Move("99999999-2222-3333-4444-555555555555")
	if err := w.fails(); !strings.Contains(err.Error(), "reads tenant 99999999") {
		t.Error(err)
	}
	w.wants("hub", served...)
}

// A state that cannot be written is an error that is shown, and no reason not to serve.
func TestStateNotWritable(t *testing.T) {
	w := newWorld(t, hubSees)
	if err := os.Mkdir(w.state, 0o700); err != nil {
		t.Fatal(err)
	}
	w.start()
	_, served := w.several(3)
	w.list()
	w.wants("hub", served...)
	if w.d.Status().Saving == nil {
		t.Error("nobody is told")
	}
}

// A row of a shape that is not known takes nothing away, and holds up nothing else.
func TestUnknownShape(t *testing.T) {
	w := newWorld(t, hubSees)
	ids, served := w.several(2)
	w.list()
	w.Put(ids[0], "microsoft.network/privateendpoints", "westeurope", map[string]any{"privateLinkServiceConnections": "none", "subnet": map[string]any{"id": w.hub + "/subnets/a"}})
	w.add("fresh", "10.0.8.8")
	for range 3 {
		w.list()
	}
	w.wants("hub", append(served, "fresh.database.windows.net [10.0.8.8]")...)
	if warnings := strings.Join(w.d.Status().Warnings, "\n"); !strings.Contains(warnings, "unknown shape") {
		t.Errorf("warnings %s", warnings)
	}
}
