package store

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"pldns/config"
	"pldns/config/release"
)

// fetchPatience bounds one request.
const fetchPatience = 30 * time.Second

// web is a store that a web server or a blob container serves.
type web struct {
	settings config.Store
	*clocks
	client *http.Client
	token  func(context.Context) (string, error)

	mutex sync.Mutex
	known map[string]fetched // channels, by name
}

// fetched is a channel as it was fetched last.
type fetched struct {
	channel Channel
	etag    string
	version Version
}

func newWeb(settings config.Store, o Options) *web {
	w := &web{settings: settings, client: o.HTTP, token: o.Token, clocks: newClocks(o.Now), known: make(map[string]fetched)}
	if w.client == nil {
		secure := &tls.Config{RootCAs: settings.Roots, MinVersion: tls.VersionTLS12}
		if settings.Certificate != nil {
			secure.Certificates = []tls.Certificate{*settings.Certificate}
		}
		stays := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // with what it is shown
		w.client = &http.Client{CheckRedirect: stays, Transport: &http.Transport{
			TLSClientConfig: secure, Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, DialContext: o.Dial,
			ResponseHeaderTimeout: fetchPatience, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10,
		}}
	}
	return w
}

// get fetches what is below the URL; an etag that is known gives nothing.
func (w *web) get(ctx context.Context, path, etag string, most int64) (data []byte, tag string, err error) {
	ctx, cancel := context.WithTimeout(ctx, fetchPatience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, w.settings.URL+path, nil)
	if err != nil {
		return nil, "", err
	}
	request.Header.Set("User-Agent", "pldns")
	if etag != "" {
		request.Header.Set("If-None-Match", etag)
	}
	if w.token != nil {
		token, err := w.token(ctx)
		if err != nil {
			return nil, "", fmt.Errorf("identity %q has no token: %w", w.settings.Identity, err)
		}
		request.Header.Set("Authorization", "Bearer "+token)
		// Without a version, Azure Storage takes no token of Microsoft Entra ID.
		request.Header.Set("X-Ms-Version", "2021-12-02")
	}
	response, err := w.do(w.client, request)
	if err != nil {
		return nil, "", err
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK:
	case http.StatusNotModified:
		return nil, etag, nil
	case http.StatusNotFound:
		return nil, "", fmt.Errorf("%s: %w", request.URL, ErrAbsent)
	case http.StatusUnauthorized, http.StatusForbidden:
		return nil, "", fmt.Errorf("%s is refused (%s): %w: give the identity the role Storage Blob Data Reader, or "+
			"the certificate its right", request.URL, response.Status, errRefused)
	default:
		return nil, "", fmt.Errorf("%s answers %s", request.URL, response.Status)
	}
	data, err = io.ReadAll(io.LimitReader(response.Body, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("%s has more than %d KiB", request.URL, most>>10)
	}
	return data, response.Header.Get("Etag"), err
}

// Object implements [Store].
func (w *web) Object(ctx context.Context, d release.Digest) ([]byte, error) {
	if !d.Valid() {
		return nil, ErrAbsent
	}
	data, _, err := w.get(ctx, objectsFolder+"/"+string(d), "", release.MaxStored)
	return data, err
}

// PutObject implements [Store].
func (w *web) PutObject(context.Context, release.Digest, []byte) error { return ErrReadOnly }

// Channel implements [Store].
func (w *web) Channel(ctx context.Context, name string) (Channel, Version, error) {
	w.mutex.Lock()
	known := w.known[name]
	w.mutex.Unlock()
	text, etag, err := w.get(ctx, channelsFolder+"/"+name+channelSuffix, known.etag, largestChannel)
	if err != nil {
		return Channel{}, Version{}, err
	}
	if text == nil && known.etag != "" {
		return known.channel, known.version, nil
	}
	c, err := parseChannel(name, text)
	if err != nil {
		return Channel{}, Version{}, err
	}
	known = fetched{c, etag, Version{tag: string(release.DigestOf(text))}}
	w.mutex.Lock()
	w.known[name] = known
	w.mutex.Unlock()
	return known.channel, known.version, nil
}

// SwapChannel implements [Store].
func (w *web) SwapChannel(context.Context, string, Version, Channel) error { return ErrReadOnly }

// AwaitChannel implements [Store]: it waits for as long as was asked for, but for a tenth,
// so that many instances do not ask together.
func (w *web) AwaitChannel(ctx context.Context, _ string, _ Version) error {
	every := w.settings.Every
	return pause(ctx, every*9/10+rand.N(every/5+1))
}

// Sweep implements [Store].
func (w *web) Sweep(context.Context, func([]Channel) (map[release.Digest]bool, error)) (int, error) {
	return 0, ErrReadOnly
}

// Close implements [Store]. It never fails.
func (w *web) Close() error {
	w.client.CloseIdleConnections()
	return nil
}

// errRefused is a store that does not let this instance do something.
var errRefused = errors.New("there is no permission")
