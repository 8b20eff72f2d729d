package contract

import (
	"slices"
	"strings"
	"testing"
	"time"
)

var arrived = time.Date(2026, 11, 24, 23, 30, 14, 123e6, time.FixedZone("", 3600))

func TestArchiveKey(t *testing.T) {
	const want = "archive/2026-11-24/22/30/14.123,7d0-a1,message.created,n%2F1%2Ca,0123456789abcdef.json.gz"
	k := ArchiveKey{ReceivedAt: arrived, GrantID: "7d0-a1", Type: "message.created", ID: "n/1,a", Signature: "0123456789abcdef"}
	if got := k.String(); got != want {
		t.Errorf("the name is %s, want %s", got, want)
	}
	for name, k := range map[string]ArchiveKey{
		"usual":         k,
		"nothing known": {ReceivedAt: arrived, Signature: "0"},
		"odd":           {ReceivedAt: arrived, GrantID: "../../spill", Type: ",", ID: "żółć %2C ☕\x00", Signature: "0"},
	} {
		got, ok := ParseArchiveKey(k.String())
		if !ok || !got.ReceivedAt.Equal(k.ReceivedAt) || got.GrantID != k.GrantID || got.Type != k.Type || got.ID != k.ID || got.Signature != k.Signature {
			t.Errorf("%s: %s reads as %+v, %v", name, k, got, ok)
		}
		if strings.Count(k.String(), "/") != 4 {
			t.Errorf("%s: %s is in a folder that the notification chose", name, k)
		}
	}
}

// S3 takes names of 1,024 bytes at most, and a part of an id is another id.
func TestArchiveKeyIsShort(t *testing.T) {
	long := strings.Repeat("ü", 100)
	k := ArchiveKey{ReceivedAt: arrived, GrantID: long, Type: strings.Repeat("t", maxArchiveField), ID: long[:maxArchiveField/6*2], Signature: "0"}
	got, ok := ParseArchiveKey(k.String())
	if !ok || len(k.String()) > 1024 || got.GrantID != "" || got.Type != k.Type || got.ID != k.ID {
		t.Errorf("%d bytes read as %+v, %v", len(k.String()), got, ok)
	}
	for grant, want := range map[string]bool{"": false, "g1": true, long: false} {
		if ArchivableGrant(grant) != want {
			t.Errorf("ArchivableGrant(%q) = %v", grant, !want)
		}
	}
}

// A list in the order of names is one in the order of arrival, and begins where it is
// told to.
func TestArchiveKeysSortByArrival(t *testing.T) {
	var names []string
	for _, later := range []time.Duration{0, time.Millisecond, time.Second, time.Minute, time.Hour, 31 * 24 * time.Hour} {
		at := arrived.Add(later)
		names = append(names, ArchiveFrom(at), ArchiveKey{ReceivedAt: at, Signature: "0"}.String())
	}
	if !slices.IsSorted(names) {
		t.Errorf("not in order: %v", names)
	}
}

func TestOtherNamesAreNoArchiveKeys(t *testing.T) {
	for _, name := range []string{
		"", "archive/", "spill/2026/11/24/22/a.0123456789abcdef.json.gz", "archive/2026-11-24/22/30/14.123,g,t,n,0",
		"archive/2026-11-24/22/30/14.123,g,t,0.json.gz", "archive/2026-11-24/22/61/14.123,g,t,n,0.json.gz",
		"archive/2026-11-24/22/30/14.123,%zz,t,n,0.json.gz",
	} {
		if k, ok := ParseArchiveKey(name); ok {
			t.Errorf("%q reads as %+v", name, k)
		}
	}
}
