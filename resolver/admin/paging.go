package admin

import (
	"errors"
	"net/url"
	"strconv"
)

// window is the part of a list that one page shows.
type window struct {
	Page  int `json:"page"` // counted from 1
	Pages int `json:"pages"`
	Total int `json:"total"` // entries of the whole list
	size  int
	links url.Values // what a link to another page says besides its number
}

// windowOf reads the page that is asked for, counted from 1, and how many entries
// it has. Both are held within what there is once the total is known.
func windowOf(values url.Values, usual, most int) (window, error) {
	page, err := positive(values.Get("page"), 1)
	size, err2 := positive(values.Get("per_page"), usual)
	links := make(url.Values)
	for key, value := range values {
		if key != "page" && len(value) > 0 && value[0] != "" {
			links[key] = value[:1]
		}
	}
	w := window{Page: page, size: min(size, most), links: links}
	if err != nil || err2 != nil {
		return w, errors.New("page and per_page: write whole numbers from 1")
	}
	return w, nil
}

// positive reads a whole number from 1; where there is none, it is as usual.
func positive(text string, usual int) (int, error) {
	if text == "" {
		return usual, nil
	}
	number, err := strconv.Atoi(text)
	if err != nil || number < 1 || number > 1<<30 {
		return usual, errors.New("no whole number from 1")
	}
	return number, nil
}

// of fits the window into a list with so many entries.
func (w *window) of(total int) {
	w.Total = total
	w.Pages = max(1, (total+w.size-1)/w.size)
	w.Page = min(w.Page, w.Pages)
}

// first and end are the entries that are shown, as indexes.
func (w *window) first() int { return (w.Page - 1) * w.size }
func (w *window) end() int   { return min(w.Total, w.first()+w.size) }

// From and To are the same for people, counted from 1.
func (w window) From() int { return min(w.Total, w.first()+1) }

// To is the last entry that is shown.
func (w window) To() int { return w.end() }

// Link is the address of another page of the list, relative to this one.
func (w window) Link(page int) string {
	values := make(url.Values, len(w.links)+1)
	for key, value := range w.links {
		values[key] = value
	}
	values.Set("page", strconv.Itoa(page))
	return "?" + values.Encode()
}

// Before and After are the neighbours of the page, 0 where there is none.
func (w window) Before() int { return w.Page - 1 }

// After is the page after this one.
func (w window) After() int {
	if w.Page >= w.Pages {
		return 0
	}
	return w.Page + 1
}

// cut fits a window to a list and gives the part that it shows.
func cut[T any](w *window, list []T) []T {
	w.of(len(list))
	return list[w.first():w.end()]
}
