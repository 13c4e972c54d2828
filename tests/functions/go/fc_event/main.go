// An event function as the vendor's guide shapes them: it takes a context and a struct, and gives a value or an error.
package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aliyun/fc-runtime-go-sdk/fc"
	"github.com/aliyun/fc-runtime-go-sdk/fccontext"
)

type Event struct {
	Do      string `json:"do"`
	Name    string `json:"name"`
	SleepMs int    `json:"sleepMs"`
}

type Answer struct {
	Hello    string `json:"hello"`
	Function string `json:"function"`
	Service  string `json:"service"`
	Handler  string `json:"handler"`
	Memory   string `json:"memory"`
	Timeout  int    `json:"timeout"`
	Region   string `json:"region"`
	Account  string `json:"account"`
	Request  string `json:"request"`
	KeyID    string `json:"keyId"`
	Secret   bool   `json:"secret"`
	Token    bool   `json:"token"`
	LeftMs   int64  `json:"leftMs"`
	Running  int    `json:"running"`
}

// Told how many calls run at once: each waits until `want` of them do, or a second has passed.
var arrivals = make(chan struct{}, 100)

func handle(ctx context.Context, event Event) (*Answer, error) {
	switch event.Do {
	case "error":
		return nil, errors.New("no such face: " + event.Name)
	case "panic":
		var nobody *Event
		fmt.Println(nobody.Name)
	case "sleep":
		time.Sleep(time.Duration(event.SleepMs) * time.Millisecond)
	case "together":
		arrivals <- struct{}{}
		for end := time.Now().Add(5 * time.Second); len(arrivals) < 4 && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
	}
	fctx, ok := fccontext.FromContext(ctx)
	if !ok {
		return nil, errors.New("no context")
	}
	fctx.GetLogger().Info("hello from " + event.Name)
	deadline, _ := ctx.Deadline()
	return &Answer{
		Hello: event.Name, Function: fctx.Function.Name, Service: fctx.Service.Name, Handler: fctx.Function.Handler, Memory: fctx.Function.Memory,
		Timeout: fctx.Function.Timeout, Region: fctx.Region, Account: fctx.AccountId, Request: fctx.RequestID, KeyID: fctx.Credentials.AccessKeyId,
		Secret: fctx.Credentials.AccessKeySecret != "", Token: fctx.Credentials.SecurityToken != "", LeftMs: time.Until(deadline).Milliseconds(),
		Running: len(arrivals),
	}, nil
}

func main() { fc.Start(handle) }
