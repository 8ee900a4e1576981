package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"pldns/config/release"
)

const (
	channelFormat = 1
	// largestChannel bounds a channel as it is stored, MostHistory what it remembers.
	largestChannel = 512 << 10
	MostHistory    = 500
	longestNote    = 200
)

// Channel names the release that is served, and those before it.
type Channel struct {
	Format  int     `json:"pldns_channel"`
	History []Entry `json:"history"` // the newest first; there is one
}

// Entry is one change of a channel.
type Entry struct {
	Release release.Digest `json:"release"`
	At      time.Time      `json:"at"`             // by the clock of whoever did it
	By      string         `json:"by"`             // user and host
	How     How            `json:"how"`            // what was done
	From    string         `json:"from,omitempty"` // the channel of a promotion
	Note    string         `json:"note,omitempty"`
	// Networks and Endpoints are how many the release has.
	Networks  int `json:"networks"`
	Endpoints int `json:"endpoints"`
}

// How is what changed a channel.
type How string

// What changes a channel.
const (
	Pushed     How = "push"
	RolledBack How = "rollback"
	Promoted   How = "promote"
)

// Head is the newest entry.
func (c *Channel) Head() Entry { return c.History[0] }

// With is the channel with a further entry, and at most so many in all.
func (c *Channel) With(e Entry, keep int) Channel {
	e.At, e.Note = e.At.UTC(), plain(e.Note, longestNote)
	e.By = plain(e.By, longestNote)
	next := Channel{Format: channelFormat, History: append([]Entry{e}, c.History...)}
	if keep = max(1, min(keep, MostHistory)); len(next.History) > keep {
		next.History = next.History[:keep]
	}
	return next
}

// plain is a text on one line, cut to a length.
func plain(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(strings.TrimSpace(text), "?"))
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most])
	}
	return text
}

// Find is the newest entry of a release that a prefix of its digest names. The error says
// that there is none, or more than one.
func (c *Channel) Find(prefix string) (Entry, error) {
	var found *Entry
	for i := range c.History {
		e := &c.History[i]
		switch {
		case !strings.HasPrefix(string(e.Release), prefix) || prefix == "":
		case found == nil:
			found = e
		case found.Release != e.Release:
			return Entry{}, fmt.Errorf("%q names more than one release: write more of its digits", prefix)
		}
	}
	if found == nil {
		return Entry{}, fmt.Errorf("there is no release %q in the channel: pldns history lists them", prefix)
	}
	return *found, nil
}

func (c Channel) encode() ([]byte, error) {
	text, err := json.Marshal(c)
	if err == nil && len(text) > largestChannel {
		err = errors.New("the history of the channel is too long: keep fewer releases")
	}
	return text, err
}

// parseChannel reads a channel, which may be anything.
func parseChannel(name string, text []byte) (Channel, error) {
	var c Channel
	refuse := func(why string) (Channel, error) {
		return Channel{}, fmt.Errorf("channel %s is not what pldns push writes (%s): push the configuration again", name, why)
	}
	switch err := json.Unmarshal(text, &c); {
	case err != nil:
		return refuse("no JSON")
	case c.Format != channelFormat:
		return refuse("of another version of the program")
	case len(c.History) == 0 || len(c.History) > MostHistory:
		return refuse("without a history")
	}
	for i := range c.History {
		e := &c.History[i]
		if !e.Release.Valid() {
			return refuse("a release without a digest")
		}
		e.At = e.At.UTC()
		e.By, e.Note, e.From = plain(e.By, longestNote), plain(e.Note, longestNote), plain(e.From, longestNote)
		e.How = How(plain(string(e.How), longestNote))
	}
	return c, nil
}
