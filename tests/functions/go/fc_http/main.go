// An HTTP function as the vendor's guide shapes them.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/aliyun/fc-runtime-go-sdk/fc"
)

func handle(ctx context.Context, w http.ResponseWriter, req *http.Request) error {
	if req.URL.Query().Get("fail") != "" {
		return errors.New("no page today")
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Add("X-Seen", req.Header.Get("X-Asked"))
	w.Header().Add("X-Twice", "1")
	w.Header().Add("X-Twice", "2")
	w.WriteHeader(http.StatusAccepted)
	fmt.Fprintf(w, "%s %s q=%s %s", req.Method, req.URL.Path, req.URL.Query().Get("q"), body)
	return nil
}

func main() { fc.StartHttp(handle) }
