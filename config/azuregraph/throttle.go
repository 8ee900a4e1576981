package azuregraph

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// The headers of Resource Graph's quota, which it sends with every answer: how many
// queries are left, and when there are more, as hours, minutes and seconds.
const (
	quotaRemaining = "x-ms-user-quota-remaining"
	quotaResets    = "x-ms-user-quota-resets-after"
	tenantLimit    = "x-ms-tenant-subscription-limit-hit"
	retryAfter     = "Retry-After"
)

// mostPatience is the longest wait that a header may ask for: what asks for more is
// left to the next run.
const mostPatience = time.Minute

// throttle counts calls, and keeps to the quota: the SDK waits for Retry-After, and
// knows nothing of the headers of Resource Graph. It is a policy of the SDK, asked at
// each attempt.
type throttle struct {
	calls, throttled atomic.Int64
	resume           atomic.Int64 // nanoseconds since 1970 before which nothing is sent
	now              func() time.Time
}

// Do implements [policy.Policy].
func (t *throttle) Do(request *policy.Request) (*http.Response, error) {
	if err := t.wait(request.Raw().Context()); err != nil {
		return nil, err
	}
	t.calls.Add(1)
	response, err := request.Next()
	if err != nil {
		return response, err
	}
	resets, known := parseResets(response.Header.Get(quotaResets))
	left, counted := strconv.Atoi(response.Header.Get(quotaRemaining))
	if response.StatusCode == http.StatusTooManyRequests {
		t.throttled.Add(1)
		if known && response.Header.Get(retryAfter) == "" {
			// Whole seconds, rounded up: the SDK waits for that, and no shorter.
			response.Header.Set(retryAfter, strconv.Itoa(int((resets+time.Second-1)/time.Second)))
		}
	}
	if known && counted == nil && left <= 0 && resets <= mostPatience {
		t.resume.Store(t.now().Add(resets).UnixNano())
	}
	if response.StatusCode == http.StatusOK && response.Header.Get(tenantLimit) == "true" {
		response.Body.Close()
		return nil, errTooManySubscriptions
	}
	return response, nil
}

// errTooManySubscriptions is an answer that leaves subscriptions out.
var errTooManySubscriptions = notRetried{errors.New("the scope has more than the 10,000 subscriptions that Resource Graph looks at: " +
	"divide it into several [azure.NAME]")}

// notRetried is an error that another attempt would meet again.
type notRetried struct{ error }

// NonRetriable tells the SDK so.
func (notRetried) NonRetriable() {}

// wait waits until the quota has something left.
func (t *throttle) wait(ctx context.Context) error {
	left := time.Duration(t.resume.Load() - t.now().UnixNano())
	if left <= 0 {
		return nil
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return notRetried{ctx.Err()}
	}
}

// parseResets reads hours, minutes and seconds.
func parseResets(text string) (time.Duration, bool) {
	at, err := time.Parse(time.TimeOnly, text)
	if err != nil {
		return 0, false
	}
	return time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute + time.Duration(at.Second())*time.Second, true
}
