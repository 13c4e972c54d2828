module mayfly.test/functions

go 1.18

require (
	github.com/aliyun/fc-runtime-go-sdk v0.2.7
	github.com/aws/aws-lambda-go v1.53.0
)
