// A function with all of an instance's hooks, as the vendor's guide shapes them.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/aliyun/fc-runtime-go-sdk/fc"
	"github.com/aliyun/fc-runtime-go-sdk/fccontext"
)

var count = 0

func initialize(ctx context.Context) {
	if os.Getenv("FAIL") != "" {
		panic(errors.New("no model"))
	}
	fctx, _ := fccontext.FromContext(ctx)
	fmt.Println("initializing", fctx.Function.Name)
	count += 1000
}

func preStop(ctx context.Context)   { fmt.Println("stopping after", count) }
func preFreeze(ctx context.Context) { fmt.Println("freezing after", count) }

func handle(ctx context.Context) (int, error) {
	count++
	return count, nil
}

func main() {
	fc.RegisterInitializerFunction(initialize)
	fc.RegisterPreStopFunction(preStop)
	fc.RegisterPreFreezeFunction(preFreeze)
	fc.Start(handle)
}
