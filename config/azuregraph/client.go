package azuregraph

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/resourcegraph/armresourcegraph"

	"pldns/config"
)

const (
	// pageSize is the most that Resource Graph gives at once.
	pageSize = 1000
	// mostPages bounds one query: more rows than that are no estate, but a token that
	// leads in a circle.
	mostPages = 500
	// tryTimeout bounds one attempt at one call.
	tryTimeout = 30 * time.Second
	// mostTries is how often a query is listed anew because it changed meanwhile.
	mostTries = 3
)

// MostSubscriptions is how many subscriptions one query may name: in groups of fewer
// than 300, Resource Graph answers without delay.
const MostSubscriptions = 299

// Scope is what a query looks at: subscriptions or management groups, by their ids
// without what stands before them.
type Scope struct{ Subscriptions, Groups []string }

// Client asks as one identity. One call may be under way at a time.
type Client struct {
	graph    *arm.Client
	throttle *throttle
	body     []byte // room for a page, while a listing is under way
}

// New makes a client that asks over HTTP as told; it calls nobody yet. The error says
// what the configured identity lacks, such as an environment variable.
func New(a config.Azure, over *http.Client) (*Client, error) {
	c := &Client{throttle: &throttle{now: time.Now}}
	options := policy.ClientOptions{
		Cloud: cloudOf(a), Transport: over, PerRetryPolicies: []policy.Policy{c.throttle},
		Telemetry: policy.TelemetryOptions{ApplicationID: "pldns"},
		Retry:     policy.RetryOptions{MaxRetries: 4, MaxRetryDelay: mostPatience, TryTimeout: tryTimeout},
	}
	credential, err := newCredential(a, options)
	if err != nil {
		return nil, fmt.Errorf("identity %q: %w", a.Identity, err)
	}
	options.Transport = bounded{over}
	return c, c.authorize(credential, options)
}

// authorize has the client ask with a credential.
func (c *Client) authorize(credential azcore.TokenCredential, options policy.ClientOptions) (err error) {
	c.graph, err = arm.NewClient("pldns", "v0.0.0", credential, &arm.ClientOptions{ClientOptions: options, DisableRPRegistration: true})
	return err
}

// largestAnswer bounds one answer: Resource Graph gives at most 16 MiB.
const largestAnswer = 64 << 20

// bounded is HTTP whose answers have an end.
type bounded struct{ over *http.Client }

// Do implements [policy.Transporter].
func (b bounded) Do(request *http.Request) (*http.Response, error) {
	response, err := b.over.Do(request)
	if err == nil {
		response.Body = http.MaxBytesReader(nil, response.Body, largestAnswer)
	}
	return response, err
}

// Calls is how many calls were made so far, and how many of them were turned away
// because there were too many.
func (c *Client) Calls() (calls, throttled int64) {
	return c.throttle.calls.Load(), c.throttle.throttled.Load()
}

// errChanged is a listing of which the pages do not fit together.
var errChanged = errors.New("the listing changed while it was read")

// List gives each row of a query to a reader, once, by the column id. A query projects
// it, and is ordered by it: otherwise Resource Graph stops at 1,000 rows without a word
// (azure-docs issue 50606). The rows are complete, or there is an error. Again is called
// before the first row, and each time that the listing begins anew because it changed
// while it was read: what was given before is to be forgotten. A row is not used after it
// was given.
func (c *Client) List(ctx context.Context, query string, scope Scope, again func(), row func(map[string]any) error) error {
	defer func() { c.body = nil }()
	var err error
	for range mostTries {
		again()
		if err = c.list(ctx, query, scope, row); !errors.Is(err, errChanged) {
			return err
		}
	}
	return err
}

// list follows the pages. Whether there are more tells the token alone: resultTruncated
// is false where more follows.
func (c *Client) list(ctx context.Context, query string, scope Scope, row func(map[string]any) error) error {
	request := armresourcegraph.QueryRequest{
		Query: &query, Subscriptions: pointers(scope.Subscriptions), ManagementGroups: pointers(scope.Groups),
		Options: &armresourcegraph.QueryRequestOptions{
			ResultFormat: pointer(armresourcegraph.ResultFormatObjectArray), Top: pointer(int32(pageSize)),
		},
	}
	if len(scope.Groups) > 0 {
		request.Options.AllowPartialScopes = pointer(false)
	}
	rows := &rows{seen: make(map[string]bool), read: row}
	total := int64(-1)
	for range mostPages {
		page, err := c.page(ctx, request, rows)
		if err != nil {
			return inWords(err)
		}
		if page.total < 0 || total >= 0 && page.total != total {
			return errChanged
		}
		total = page.total
		if page.more == "" {
			if int64(len(rows.seen)) != total {
				return fmt.Errorf("%w: %d of %d rows came", errChanged, len(rows.seen), total)
			}
			return nil
		}
		request.Options.SkipToken = &page.more
	}
	return fmt.Errorf("the listing has more than %d pages", mostPages)
}

// inWords says what an error of Azure means, on one line: the SDK writes the whole
// answer.
func inWords(err error) error {
	var response *azcore.ResponseError
	if !errors.As(err, &response) {
		text := strings.Join(strings.Fields(err.Error()), " ")
		if len(text) > 500 {
			text = text[:500] + "..."
		}
		return &wordsError{text, err}
	}
	remedy := ""
	switch response.StatusCode {
	case http.StatusForbidden:
		remedy = ": give the identity the role Reader on the scopes"
	case http.StatusTooManyRequests:
		remedy = ": too many queries of this identity; ask less often"
	}
	return &wordsError{fmt.Sprintf("Azure answers %d %s%s", response.StatusCode, response.ErrorCode, remedy), err}
}

// wordsError is an error in other words.
type wordsError struct {
	text string
	err  error
}

func (w *wordsError) Error() string { return w.text }
func (w *wordsError) Unwrap() error { return w.err }

func pointer[T any](value T) *T { return &value }

func pointers(texts []string) []*string {
	var all []*string
	for i := range texts {
		all = append(all, &texts[i])
	}
	return all
}
