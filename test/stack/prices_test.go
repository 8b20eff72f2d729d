package stack

// price is what AWS asks for so many units.
type price struct {
	dollars, units float64
	unit           string // of units, as the page says it
	page           string // AWS's own
	read           string // where the number was read, and as of when: AWS's pages fill them in by script
}

// priceList: AWS publishes its prices as files, too. These were not read themselves, but in a
// report of August 2026 that quotes them.
const priceList = "AWS's price list "

// prices are AWS's list prices in us-east-1, without any free tier. Each volume that
// the page shows is within the first step of a price that has steps.
var prices = map[string]price{
	"API Gateway, REST API": {
		3.50, 1e6, "million requests, the first 333 million a month", "https://aws.amazon.com/api-gateway/pricing/",
		"[AWS's white paper](https://docs.aws.amazon.com/whitepapers/latest/best-practices-api-gateway-private-apis-integration/cost-optimization.html)",
	},
	"API Gateway, HTTP API": {
		1.00, 1e6, "million requests, the first 300 million a month, in steps of 512 KB", "https://aws.amazon.com/api-gateway/pricing/",
		"[AWS's white paper](https://docs.aws.amazon.com/whitepapers/latest/best-practices-api-gateway-private-apis-integration/cost-optimization.html)",
	},
	"Lambda, requests": {0.20, 1e6, "million requests", "https://aws.amazon.com/lambda/pricing/", "that page, September 2026"},
	"Lambda, arm64": {
		0.0000133334, 1, "GB-second, the first 7.5 billion a month", "https://aws.amazon.com/lambda/pricing/",
		"[a guide that quotes it](https://cloudchipr.com/blog/aws-lambda-pricing), 2024",
	},
	"Lambda, x86_64": {
		0.0000166667, 1, "GB-second, the first 6 billion a month", "https://aws.amazon.com/lambda/pricing/",
		"[a guide that quotes it](https://cloudchipr.com/blog/aws-lambda-pricing), 2024",
	},
	"SQS": {0.40, 1e6, "million requests of a standard queue, each begun 64 KB of payload one", "https://aws.amazon.com/sqs/pricing/", priceList + "`AWSQueueService` of 28 August 2025"},
	"SQS, fair queue": {
		0.10, 1e6, "million requests on top, with `MessageGroupId`", "https://aws.amazon.com/sqs/pricing/",
		priceList + "`AWSQueueService` of 28 August 2025; [a guide of March 2026](https://cloudburn.io/blog/amazon-sqs-pricing)",
	},
	"CloudWatch Logs, ingestion": {0.50, 1e9, "GB, class Standard", "https://aws.amazon.com/cloudwatch/pricing/", priceList + "`AmazonCloudWatch` of 6 August 2026"},
	"CloudWatch Logs, storage":   {0.03, 1e9, "GB and month", "https://aws.amazon.com/cloudwatch/pricing/", priceList + "`AmazonCloudWatch` of 6 August 2026"},
	"CloudWatch, custom metric":  {0.30, 1, "metric and month, the first 10,000", "https://aws.amazon.com/cloudwatch/pricing/", priceList + "`AmazonCloudWatch` of 6 August 2026"},
	"CloudWatch, alarm":          {0.10, 1, "metric of an alarm and month, standard resolution", "https://aws.amazon.com/cloudwatch/pricing/", priceList + "`AmazonCloudWatch` of 6 August 2026"},
	"CloudWatch, dashboard":      {3.00, 1, "dashboard and month", "https://aws.amazon.com/cloudwatch/pricing/", "[a guide of June 2026](https://www.factualminds.com/blog/amazon-cloudwatch-pricing-metrics-logs-alarms-dashboards/)"},
	"X-Ray":                      {5.00, 1e6, "million traces recorded", "https://aws.amazon.com/xray/pricing/", "that page"},
	"Secrets Manager, secret":    {0.40, 1, "secret and month", "https://aws.amazon.com/secrets-manager/pricing/", "that page, September 2026"},
	"Secrets Manager, calls":     {0.05, 1e4, "10,000 calls", "https://aws.amazon.com/secrets-manager/pricing/", "that page, September 2026"},
	"KMS, key":                   {1.00, 1, "key and month; one more for each of the first two rotations", "https://aws.amazon.com/kms/pricing/", "that page"},
	"KMS, requests":              {0.03, 1e4, "10,000 requests", "https://aws.amazon.com/kms/pricing/", "[a guide that quotes it](https://www.wring.co/blog/aws-kms-pricing-guide)"},
	"S3, PUT":                    {0.005, 1e3, "1,000 requests", "https://aws.amazon.com/s3/pricing/", priceList + "`AmazonS3` of 7 August 2026"},
	"S3, GET":                    {0.0004, 1e3, "1,000 requests", "https://aws.amazon.com/s3/pricing/", priceList + "`AmazonS3` of 7 August 2026"},
	"S3, storage":                {0.023, 1e9, "GB and month, the first 50 TB", "https://aws.amazon.com/s3/pricing/", priceList + "`AmazonS3` of 7 August 2026"},
	"DynamoDB, writes":           {0.625, 1e6, "million write units on demand, 1 KB each", "https://aws.amazon.com/dynamodb/pricing/on-demand/", priceList + "`AmazonDynamoDB` of 15 August 2026"},
}
