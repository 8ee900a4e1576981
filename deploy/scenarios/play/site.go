package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/quic-go/quic-go"
)

// site is a server that speaks TLS at once, as SQL Server does with TDS 8 and a
// web server always, and tells every client what it was told to say. Over QUIC, and to who
// wants to speak DNS, it shows its certificate and no more.
func site(ctx context.Context, flags *flag.FlagSet, arguments []string) error {
	listen := flags.String("listen", ":443", "address")
	says := flags.String("says", "", "what every client is told")
	cert := flags.String("cert", "", "PEM file of the certificate")
	key := flags.String("key", "", "PEM file of its key")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	pair, err := tls.LoadX509KeyPair(*cert, *key)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	over, err := quic.ListenAddr(*listen, &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"doq", "h3"}}, nil)
	if err != nil {
		return err
	}
	defer over.Close()
	fmt.Println("listening at", listener.Addr())
	server := &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, *says) }),
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1", "dot"}},
		ReadHeaderTimeout: time.Minute,
		ConnState: func(conn net.Conn, state http.ConnState) {
			if state == http.StateNew {
				fmt.Println("connection from", conn.RemoteAddr())
			}
		},
	}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if err := server.ServeTLS(listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// connect opens a URL by the resolver of the system, holds the certificate against
// its host, and prints what the server says.
func connect(ctx context.Context, flags *flag.FlagSet, arguments []string) error {
	authority := flags.String("ca", "", "PEM file of who issued the certificate")
	patience := flags.Duration("patience", 0, "how long to try again after a failure")
	timeout := flags.Duration("timeout", 20*time.Second, "of one try")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return fmt.Errorf("connect wants one URL")
	}
	settings, err := trusting(*authority)
	if err != nil {
		return err
	}
	client := &http.Client{Timeout: *timeout, Transport: &http.Transport{TLSClientConfig: settings}}
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	for end := time.Now().Add(*patience); ; {
		text, err := get(ctx, client, flags.Arg(0))
		if err == nil {
			fmt.Print(text)
			return nil
		}
		if time.Now().After(end) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-again.C:
		}
	}
}

// get is what a URL says.
func get(ctx context.Context, client *http.Client, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	return string(text), err
}

// trusting are the settings of a client that trusts one authority alone.
func trusting(authority string) (*tls.Config, error) {
	pem, err := os.ReadFile(authority)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", authority)
	}
	return &tls.Config{RootCAs: roots}, nil
}
