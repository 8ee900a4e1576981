package config

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// table is one TOML table as it is read: it knows where it stands, and reports
// what is not of the kind that is asked for.
type table struct {
	rep    *report
	file   string
	path   string // key path; empty for the root
	values map[string]any
	// elsewhere are the files of keys that stand in another file than the table.
	elsewhere map[string]string
}

// entry is one element of a list of strings.
type entry struct {
	text  string
	place Place
}

// place is where a key of the table stands.
func (t table) place(key string) Place { return placeOf(t.fileOf(key), t.path).below(key) }

// here is where the table itself stands.
func (t table) here() Place { return placeOf(t.file, t.path) }

// keys are the keys in a stable order. They are copies, which do not keep the file's
// text.
func (t table) keys() []string {
	keys := slices.Sorted(maps.Keys(t.values))
	for i := range keys {
		keys[i] = strings.Clone(keys[i])
	}
	return keys
}

// get gives the value of a key.
func (t table) get(key string) (any, bool) {
	value, given := t.values[key]
	if text, is := value.(string); is {
		value = strings.Clone(text) // the same
	}
	return value, given
}

// has reports whether a key is given.
func (t table) has(key string) bool {
	_, given := t.values[key]
	return given
}

// only reports every key that is not among the known ones.
func (t table) only(known ...string) {
	for _, key := range t.keys() {
		if !slices.Contains(known, key) {
			t.rep.add(t.place(key), unknownKey(key, known))
		}
	}
}

// mismatch reports that a value is not of the kind that is wanted.
func (t table) mismatch(at Place, value any, remedy, wanted string) {
	t.rep.add(at, faultf(remedy, "is %s, not %s", kindOf(value), wanted))
}

// value gives the value of a key that is given once over all files.
func (t table) value(key string) (any, bool) {
	value, given := t.get(key)
	return value, given && t.rep.once(t.place(key))
}

// sub gives the table at a key. Tables of several files add up.
func (t table) sub(key string) (table, bool) {
	value, given := t.get(key)
	if !given {
		return table{}, false
	}
	at := t.place(key)
	values, is := value.(map[string]any)
	if !is {
		t.mismatch(at, value, fmt.Sprintf("write it under [%s]", at.Key()), "a table")
		return table{}, false
	}
	return table{rep: t.rep, file: at.File(), path: at.Key(), values: values}, true
}

// text gives the string at a key.
func (t table) text(key, example string) (string, bool) {
	value, given := t.value(key)
	if !given {
		return "", false
	}
	text, is := value.(string)
	if !is {
		t.mismatch(t.place(key), value, fmt.Sprintf("write %s = %q", key, example), "a string")
	}
	return text, is
}

// texts gives the strings of the list at a key; ok reports whether the key is given
// with nothing but strings in a list.
func (t table) texts(key, example string) (entries []entry, ok bool) {
	value, given := t.value(key)
	if !given {
		return nil, false
	}
	list, is := value.([]any)
	if !is {
		if text, one := value.(string); one {
			example = text
		}
		t.mismatch(t.place(key), value, fmt.Sprintf("write %s = [%q]", key, example), "a list of strings")
		return nil, false
	}
	ok = true
	for i, element := range list {
		text, is := element.(string)
		if !is {
			t.mismatch(t.place(key).at(i), element, fmt.Sprintf("write %q", example), "a string")
			ok = false
			continue
		}
		entries = append(entries, entry{strings.Clone(text), t.place(key).at(i)})
	}
	return entries, ok
}

// distinct reads the elements of a list, each of which may stand in it once, and gives those that
// are in order, with their places.
func distinct[T comparable](rep *report, entries []entry, read func(text string) (T, *fault)) (list []T, places map[T]Place) {
	places = make(map[T]Place)
	for _, e := range entries {
		value, f := read(e.text)
		if _, twice := places[value]; f == nil && twice {
			f = alreadyFault(e.text)
		}
		if f != nil {
			rep.add(e.place, f)
			continue
		}
		places[value] = e.place
		list = append(list, value)
	}
	return list, places
}

// alreadyFault is the fault of an element that its list has twice.
func alreadyFault(text string) *fault {
	return faultf("keep one of the two", "%q is in the list already", text)
}

// boolean gives the boolean at a key, or what it is when it is not given.
func (t table) boolean(key string, otherwise bool) bool {
	value, given := t.value(key)
	if !given {
		return otherwise
	}
	truth, is := value.(bool)
	if !is {
		t.mismatch(t.place(key), value, "write true or false without quotes", "true or false")
		return otherwise
	}
	return truth
}

// integer gives the integer at a key, or what it is when it is not given.
func (t table) integer(key string, otherwise, least, most int) int {
	value, given := t.value(key)
	if !given {
		return otherwise
	}
	remedy := fmt.Sprintf("write a whole number from %d to %d", least, most)
	number, is := value.(int64)
	switch {
	case !is:
		t.mismatch(t.place(key), value, remedy, "a whole number")
	case number < int64(least) || number > int64(most):
		t.rep.add(t.place(key), faultf(remedy, "%d is out of range", number))
	default:
		return int(number)
	}
	return otherwise
}

// duration gives the duration at a key, or what it is when it is not given: a
// string such as "2.5s", or a whole number of seconds.
func (t table) duration(key string, otherwise, least, most time.Duration) time.Duration {
	value, given := t.value(key)
	if !given {
		return otherwise
	}
	duration, f := parseDuration(value, least, most)
	if f != nil {
		t.rep.add(t.place(key), f)
		return otherwise
	}
	return duration
}

// parseDuration reads a duration and holds it against its limits.
func parseDuration(value any, least, most time.Duration) (time.Duration, *fault) {
	remedy := fmt.Sprintf("write a time from %q to %q", spell(least), spell(most))
	var duration time.Duration
	switch value := value.(type) {
	case int64:
		if value < 0 || value > int64(math.MaxInt64/time.Second) {
			return 0, faultf(remedy, "%d seconds is out of range", value)
		}
		duration = time.Duration(value) * time.Second
	case string:
		var err error
		if duration, err = time.ParseDuration(value); err != nil {
			return 0, faultf(remedy, "%q is no duration", value)
		}
	default:
		return 0, faultf(remedy, "is %s, not a duration", kindOf(value))
	}
	if duration < least || duration > most {
		return 0, faultf(remedy, "%s is out of range", spell(duration))
	}
	return duration, nil
}

// spell writes a duration without the units that are zero: 24h, not 24h0m0s.
func spell(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// size gives the number of bytes at a key: a whole number, or a string with one of
// the units KiB, MiB and GiB.
func (t table) size(key string, otherwise, least, most int64) int64 {
	value, given := t.value(key)
	if !given {
		return otherwise
	}
	remedy := fmt.Sprintf("write a size from %q to %q", spellSize(least), spellSize(most))
	bytes, is := value.(int64)
	if text, isText := value.(string); isText {
		if bytes, is = parseSize(text); !is {
			t.rep.add(t.place(key), faultf(remedy, "%q is no size", text))
			return otherwise
		}
	}
	switch {
	case !is:
		t.mismatch(t.place(key), value, remedy, "a size")
	case bytes < least || bytes > most:
		t.rep.add(t.place(key), faultf(remedy, "%v is out of range", value))
	default:
		return bytes
	}
	return otherwise
}

// parseSize reads a number with a unit.
func parseSize(text string) (int64, bool) {
	for shift, unit := range []string{"KiB", "MiB", "GiB"} {
		if number, with := strings.CutSuffix(text, unit); with {
			count, err := strconv.ParseInt(strings.TrimSpace(number), 10, 32)
			return count << (10 * (shift + 1)), err == nil && count >= 0
		}
	}
	return 0, false
}

// spellSize writes a number of bytes that is a whole number of MiB or GiB.
func spellSize(bytes int64) string {
	if bytes >= 1<<30 {
		return fmt.Sprintf("%dGiB", bytes>>30)
	}
	return fmt.Sprintf("%dMiB", bytes>>20)
}

// kindOf names the kind of a TOML value.
func kindOf(value any) string {
	switch value.(type) {
	case string:
		return "a string"
	case int64:
		return "a whole number"
	case float64:
		return "a number with a fraction"
	case bool:
		return "a boolean"
	case []any:
		return "a list"
	case []map[string]any:
		return "a list of tables"
	case map[string]any:
		return "a table"
	default:
		return "a date or time"
	}
}
