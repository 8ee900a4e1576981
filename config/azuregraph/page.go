package azuregraph

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/resourcegraph/armresourcegraph"
)

// resources is where Resource Graph is asked, and the version of what it answers.
const resources = "/providers/Microsoft.ResourceGraph/resources?api-version=2024-04-01"

// page is what a page says of itself.
type page struct {
	total int64  // rows of the listing; -1 where it does not say
	more  string // the token of the next page; empty for the last one
}

// rows gives rows to a reader, each once.
type rows struct {
	seen map[string]bool // by id in lower case
	read func(map[string]any) error
}

// page asks for one page and gives its rows. The SDK's own method makes a tree of the
// whole page, and of each part of it twice: with 1,000 endpoints that is ten times the
// page. Here one row is a tree at a time. What breaks in the middle is asked for again,
// before a row of it is given; the SDK tries again only what met no answer.
func (c *Client) page(ctx context.Context, request armresourcegraph.QueryRequest, to *rows) (page, error) {
	for try := 1; ; try++ {
		err := c.download(ctx, request)
		if err == nil {
			return readPage(c.body, to)
		}
		if !errors.Is(err, io.ErrUnexpectedEOF) || try == mostTries || ctx.Err() != nil {
			return page{}, err
		}
	}
}

// download makes the body that of an answer. Its room serves all pages of a listing.
func (c *Client) download(ctx context.Context, request armresourcegraph.QueryRequest) error {
	ctx = context.WithValue(ctx, runtime.CtxAPINameKey{}, "Client.Resources") // as the SDK calls it, and its fakes
	asked, err := runtime.NewRequest(ctx, http.MethodPost, strings.TrimSuffix(c.graph.Endpoint(), "/")+resources)
	if err != nil {
		return err
	}
	asked.Raw().Header.Set("Accept", "application/json")
	if err := runtime.MarshalAsJSON(asked, request); err != nil {
		return err
	}
	runtime.SkipBodyDownload(asked)
	response, err := c.graph.Pipeline().Do(asked)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if !runtime.HasStatusCode(response, http.StatusOK) {
		return runtime.NewResponseError(response)
	}
	buffer := bytes.NewBuffer(c.body[:0])
	_, err = buffer.ReadFrom(response.Body)
	c.body = buffer.Bytes()
	return err
}

var errNoPage = errors.New("a page does not hold the rows that it says")

// readPage gives the rows of a page that were not seen before. After an error, some of
// them may have been given.
func readPage(body []byte, to *rows) (page, error) {
	p := page{total: -1}
	count, given := int64(-1), int64(-1)
	decoder := json.NewDecoder(bytes.NewReader(body))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return p, errNoPage
	}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return p, err
		}
		switch key {
		case "data":
			given, err = to.give(decoder)
		case "totalRecords":
			err = decoder.Decode(&p.total)
		case "count":
			err = decoder.Decode(&count)
		case "$skipToken":
			err = decoder.Decode(&p.more)
		default:
			err = decoder.Decode(new(json.RawMessage))
		}
		if err != nil {
			return p, err
		}
	}
	if _, err := decoder.Token(); err != nil || given < 0 || count >= 0 && given != count {
		return p, errNoPage
	}
	return p, nil
}

// give gives the rows of a list, and says how many there are.
func (r *rows) give(decoder *json.Decoder) (count int64, err error) {
	if token, err := decoder.Token(); err != nil || token != json.Delim('[') {
		return 0, errNoPage
	}
	for ; decoder.More(); count++ {
		var row map[string]any
		if err := decoder.Decode(&row); err != nil {
			return 0, err
		}
		id, _ := row["id"].(string)
		if id == "" {
			return 0, errors.New("a row has no id")
		}
		key := strings.ToLower(id)
		if r.seen[key] {
			continue
		}
		r.seen[key] = true
		if err := r.read(row); err != nil {
			return 0, err
		}
	}
	_, err = decoder.Token()
	return count, err
}
