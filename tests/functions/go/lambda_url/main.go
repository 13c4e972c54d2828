// An HTTP function behind a function URL, streaming its answer, as the vendor's guide shapes them.
package main

import (
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-lambda-go/lambdaurl"
)

func handle(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	w.WriteHeader(http.StatusAccepted)
	fmt.Fprintf(w, "%s %s q=%s\n", req.Method, req.URL.Path, req.URL.Query().Get("q"))
	for i := 0; i < 3; i++ {
		time.Sleep(50 * time.Millisecond)
		fmt.Fprintf(w, "line %d\n", i)
	}
}

func main() { lambdaurl.Start(http.HandlerFunc(handle)) }
