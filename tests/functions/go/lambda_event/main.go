// An event function as the vendor's guide shapes them.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

type Event struct {
	Do   string `json:"do"`
	Name string `json:"name"`
}

type Answer struct {
	Hello   string `json:"hello"`
	Request string `json:"request"`
	Arn     string `json:"arn"`
	Name    string `json:"name"`
	Version string `json:"version"`
	Memory  int    `json:"memory"`
	Group   string `json:"group"`
	Folder  string `json:"folder"`
	LeftMs  int64  `json:"leftMs"`
	Trace   bool   `json:"trace"`
}

func handle(ctx context.Context, event Event) (*Answer, error) {
	switch event.Do {
	case "error":
		return nil, errors.New("no such face: " + event.Name)
	case "panic":
		var nobody *Event
		fmt.Println(nobody.Name)
	case "exit":
		os.Exit(3)
	case "sleep":
		time.Sleep(time.Minute)
	}
	lc, ok := lambdacontext.FromContext(ctx)
	if !ok {
		return nil, errors.New("no context")
	}
	fmt.Println("hello from", event.Name)
	deadline, _ := ctx.Deadline()
	folder, _ := os.Getwd()
	return &Answer{
		Hello: event.Name, Request: lc.AwsRequestID, Arn: lc.InvokedFunctionArn, Name: lambdacontext.FunctionName, Version: lambdacontext.FunctionVersion,
		Memory: lambdacontext.MemoryLimitInMB, Group: lambdacontext.LogGroupName, Folder: folder, LeftMs: time.Until(deadline).Milliseconds(),
		Trace: os.Getenv("_X_AMZN_TRACE_ID") != "",
	}, nil
}

func main() { lambda.Start(handle) }
