package contract

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func lookup(vars map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := vars[name]; return v, ok }
}

// full returns a Config whose every field is set, found by reflection so that a
// new field cannot be forgotten here.
func full(t *testing.T) Config {
	t.Helper()
	var c Config
	v := reflect.ValueOf(&c).Elem()
	for i := range v.NumField() {
		v.Field(i).SetString("value of " + v.Type().Field(i).Name)
	}
	return c
}

func TestLoadReturnsWhatVarsGave(t *testing.T) {
	want := full(t)
	if n := len(want.Vars()); n != reflect.TypeFor[Config]().NumField()+1 { // and Go's
		t.Errorf("Vars has %d variables for %d fields", n, reflect.TypeFor[Config]().NumField())
	}
	if got := want.Vars()["GOMAXPROCS"]; got != "1" {
		t.Errorf("GOMAXPROCS=%s, want one thread", got)
	}
	got, err := Load(lookup(want.Vars()))
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("Load(Vars) = %+v, want %+v", got, want)
	}
}

func TestLoadReportsEveryMissingVariableAtOnce(t *testing.T) {
	vars := full(t).Vars()
	vars[stageVar] = "  "
	delete(vars, queueURLVar)
	_, err := Load(lookup(vars))
	if err == nil {
		t.Fatal("no error for two missing variables")
	}
	for _, name := range []string{stageVar, queueURLVar} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%q does not name %s", err, name)
		}
	}
	if strings.Contains(err.Error(), secretARNVar) {
		t.Errorf("%q names %s, which is set", err, secretARNVar)
	}
}

// equivalent mutant: Load: continue -> (nothing)
// The value that is read all the same is not returned beside an error.

func TestLoadReportsOneMissingVariable(t *testing.T) {
	for name := range full(t).Vars() {
		if name == archiveVar || name == threadsVar {
			continue
		}
		vars := full(t).Vars()
		delete(vars, name)
		if c, err := Load(lookup(vars)); err == nil || c != (Config{}) || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %+v, %v", name, c, err)
		}
	}
}

// A stage without an archive has no variable for it.
func TestArchiveMayBeMissing(t *testing.T) {
	want := full(t)
	want.Archive = ""
	vars := want.Vars()
	if _, ok := vars[archiveVar]; ok {
		t.Errorf("Vars of a stage without an archive has %s", archiveVar)
	}
	if got, err := Load(lookup(vars)); err != nil || got != want {
		t.Errorf("Load = %+v, %v; want %+v", got, err, want)
	}
}

// Nylas's last retry comes within 20 minutes; three times that leaves room.
func TestPreviousSecretLifetime(t *testing.T) {
	if PreviousSecretLifetime != 60*time.Minute {
		t.Errorf("PreviousSecretLifetime = %v", PreviousSecretLifetime)
	}
}

// What a page may be made of: nothing that a stranger can raise, and everything by which
// a signed notification is refused for a fault of ours.
func TestPaging(t *testing.T) {
	want := []Metric{"Accepted", "Spilled", "SecretUnavailable", "SendFailed", "Faulted"}
	if !slices.Equal(Paging, want) {
		t.Errorf("Paging = %v, want %v", Paging, want)
	}
	for _, m := range Paging {
		if !slices.Contains(Metrics, m) {
			t.Errorf("%s is not among the metrics", m)
		}
	}
	if n := len(Outcomes); len(Metrics) != n+2 || slices.Contains(Outcomes, Verified) || slices.Contains(Outcomes, ArchiveFailed) {
		t.Errorf("%d outcomes, %d metrics", n, len(Metrics))
	}
}
