package webhooks

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/jsii-runtime-go"

	"github.com/onepagecrm/nylas-webhooks/infra/stages"
	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
)

const (
	minute, fiveMinutes, hour = 60, 300, 60 * 60 // seconds, an alarm's period
	day                       = 24 * 60 * 60

	sum, maximum, average, p90 = "Sum", "Maximum", "Average", "p90"

	// inFlightLimit is how many messages of a standard queue can be received and not
	// deleted; docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
	inFlightLimit = 120_000
	// largestBurst is what Nylas says one shared calendar can cause within seconds.
	largestBurst = 20_000
)

// ownMetric returns one of the receiver's metrics.
func ownMetric(stage stages.Stage, metric contract.Metric, statistic string, seconds int) awscloudwatch.Metric {
	return awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
		Namespace:     jsii.String(contract.MetricNamespace),
		MetricName:    jsii.String(string(metric)),
		DimensionsMap: &map[string]*string{contract.DimensionStage: &stage.Name},
		Statistic:     &statistic,
		Period:        awscdk.Duration_Seconds(jsii.Number(seconds)),
	})
}

func over(statistic string, seconds int) *awscloudwatch.MetricOptions {
	return &awscloudwatch.MetricOptions{Statistic: &statistic, Period: awscdk.Duration_Seconds(jsii.Number(seconds))}
}

// alarmTable has every alarm of a stage, in the order of the flow, pages first.
//
// The receiver's metrics exist only for minutes in which it was called, SQS's only
// for queues that were used within six hours. So missing data is good for everything
// that counts what went wrong, and bad only for the one alarm that waits for silence.
func alarmTable(stack awscdk.Stack, stage stages.Stage, endpoint endpoint, receiver receiver, queues queues, bucket bucket) []alarm {
	table := append(gatewayPages(endpoint), receiverPages(stage, receiver)...)
	table = append(table, spillPages(stage, receiver, bucket)...)
	table = append(table, queuePages(stage, queues)...)
	table = append(table, trafficPages(stack, stage, receiver)...)
	table = append(table, gatewayTickets(stage, endpoint, receiver)...)
	table = append(table, receiverTickets(stage, receiver)...)
	return append(table, queueTickets(queues)...)
}

func logsOf(outcome contract.Metric, receiver receiver) string {
	return fmt.Sprintf("aws logs tail %s --since 30m --filter-pattern '{ $.%s = \"%s\" }'",
		*receiver.logs.LogGroupName(), contract.FieldOutcome, outcome)
}

// slowRuns finds requests that took longer in the function. The access log cannot:
// its numbers are strings.
func slowRuns(milliseconds int, receiver receiver) string {
	return fmt.Sprintf("aws logs tail %s --since 30m --filter-pattern '{ $.%s > %d }'",
		*receiver.logs.LogGroupName(), contract.FieldMilliseconds, milliseconds)
}

func attributesOf(queueURL *string) string {
	return fmt.Sprintf("aws sqs get-queue-attributes --attribute-names All --queue-url %s", *queueURL)
}

func gatewayPages(endpoint endpoint) []alarm {
	return []alarm{{
		role: "GatewayFaults", severity: page,
		metric: endpoint.faults,
		breach: above, limit: 0,
		m: 2, n: 10, // API Gateway has single failures of its own, which Nylas's retry heals; a second minute within ten is not one
		missing: missingIsGood, // no line, no fault
		means:   "The gateway answered 503 by itself: the function crashed, hung, is gone, or Lambda refused to start it.",
		not:     "that a stranger sent something odd; bodies beyond Lambda's limit are left out.",
		first: fmt.Sprintf("aws logs tail %s --since 30m --filter-pattern '{ $.status = \"503\" && $.responseType != \"-\" }'",
			*endpoint.logs.LogGroupName()),
	}}
}

func receiverPages(stage stages.Stage, receiver receiver) []alarm {
	return []alarm{
		{
			role: "SendFailed", severity: page,
			metric: ownMetric(stage, contract.SendFailed, sum, minute),
			breach: above, limit: 0, m: 1, n: 1, // each is a signed notification that is nowhere safe
			missing: missingIsGood,
			means:   "Neither SQS nor S3 took a signed notification. Nylas tries three times within about 20 minutes, then it is lost.",
			not:     "that it is lost yet.",
			first:   logsOf(contract.SendFailed, receiver),
		},
		{
			role: "SecretUnavailable", severity: page,
			metric: ownMetric(stage, contract.SecretUnavailable, sum, minute),
			breach: above, limit: 0, m: 1, n: 1, // nothing is cached, so nothing can be verified
			missing: missingIsGood,
			means:   "Secrets Manager did not give the webhook secret, and the function had none cached. Notifications are answered 503.",
			not:     "that no secret is stored; that is NoSecret.",
			first:   logsOf(contract.SecretUnavailable, receiver),
		},
		{
			role: "Faulted", severity: page,
			metric: ownMetric(stage, contract.Faulted, sum, minute),
			breach: above, limit: 0, m: 1, n: 1, // a defect; it will not go away by itself
			missing: missingIsGood,
			means:   "The receiver recovered from a panic or could not read an event of API Gateway, and answered 503.",
			not:     "a bad request; those are answered 400 or 401.",
			first:   logsOf(contract.Faulted, receiver),
		},
		{
			role: "ReceiverErrors", severity: page,
			metric: receiver.function.MetricErrors(over(sum, minute)),
			breach: above, limit: 0, m: 1, n: 3, // one is enough, as the receiver answers whatever happens; Lambda's datapoints come up to two minutes late
			missing: missingIsGood,
			means:   "The function ended without an answer: it crashed, ran out of memory or exceeded 8 s.",
			not:     "an answer of 503; that is no error to Lambda.",
			first: fmt.Sprintf("aws logs tail %s --since 30m --filter-pattern '{ $.type = \"platform.report\" && $.record.status != \"success\" }'",
				*receiver.logs.LogGroupName()),
		},
		{
			role: "ReceiverThrottled", severity: page,
			metric: receiver.function.MetricThrottles(over(sum, minute)),
			breach: above, limit: 0,
			m: 2, n: 5, // one minute is a burst that Nylas's retries absorb; two within five are too little concurrency
			missing: missingIsGood,
			means:   "Lambda refused to run the function, because the account's or its own concurrency is used up. Nylas reads 503.",
			not:     "the gateway's throttle; that answers 429 and is ClientErrors.",
			first:   "aws lambda get-account-settings --query AccountLimit",
		},
	}
}

func spillPages(stage stages.Stage, receiver receiver, bucket bucket) []alarm {
	return []alarm{
		{
			role: "SpilledMany", severity: page,
			metric: ownMetric(stage, contract.Spilled, sum, fiveMinutes),
			breach: atLeast, limit: 10, m: 1, n: 1, // fewer are SQS's single failures, more are an outage
			missing: missingIsGood,
			means:   "SQS did not take ten notifications within 5 minutes. They are safe in S3, and none reaches the consumer.",
			not:     "that anything is lost.",
			first:   logsOf(contract.Spilled, receiver),
		},
		{
			role: "SpillWaiting", severity: page,
			metric: bucket.notices.MetricApproximateAgeOfOldestMessage(over(maximum, fiveMinutes)),
			breach: above, limit: 3_600, // seconds; nobody misses a mail for an hour without asking
			m: 1, n: 1,
			missing: missingIsGood, // an unused queue has no metrics
			means:   "A notification that SQS did not take has waited in S3 for an hour to be replayed.",
			not:     "that it is lost; S3 keeps it for 30 days.",
			first:   attributesOf(bucket.notices.QueueUrl()),
		},
	}
}

func queuePages(stage stages.Stage, queues queues) []alarm {
	// The worst dead letter has what the queue's retention leaves of 14 days. Two of these are to
	// act in; where there are no more than two, half a day has to do.
	deadHours := max(24*(deadLetterRetentionDays-stage.RetentionDays-2), 12)
	return []alarm{
		{
			role: "QueueAge", severity: page,
			metric: queues.queue.MetricApproximateAgeOfOldestMessage(over(maximum, minute)),
			breach: above, limit: 300, // seconds; a consumer at work is seconds behind
			m: 5, n: 5, // a burst of Nylas's passes in less
			missing: missingIsGood, // an unused queue has no metrics
			means:   "The oldest notification has waited more than 5 minutes: the consumer stands still or is too slow.",
			not:     fmt.Sprintf("that anything is lost; the queue keeps them for %d days.", stage.RetentionDays),
			first:   attributesOf(queues.queue.QueueUrl()),
		},
		{
			role: "QueueExpiring", severity: page,
			metric: queues.queue.MetricApproximateAgeOfOldestMessage(over(maximum, fiveMinutes)),
			breach: above, limit: float64(stage.RetentionDays) * day / 2, // half is left to repair the consumer and drain the queue
			m: 1, n: 1,
			missing: missingIsGood,
			means:   fmt.Sprintf("The oldest notification has used half of the %d days the queue keeps it. Then SQS deletes it.", stage.RetentionDays),
			not:     "that anything is lost yet.",
			first:   attributesOf(queues.queue.QueueUrl()),
		},
		{
			role: "DeadLetters", severity: page,
			// Not NumberOfMessagesSent: SQS does not count its own moves there.
			metric: queues.deadLetters.MetricApproximateNumberOfMessagesVisible(over(maximum, minute)),
			breach: above, limit: 0, m: 1, n: 1, // each was tried five times, or rejected for good
			missing: missingIsGood,
			means:   "A notification was received five times and not deleted, or rejected by the consumer, and so put aside.",
			not:     "that it is lost; it is kept until 14 days after it was first sent, or rejected. Nor that the consumer is down; one rejected notification is enough.",
			first: fmt.Sprintf("aws sqs receive-message --visibility-timeout 0 --max-number-of-messages 10 --attribute-names All"+
				" --message-attribute-names All --query 'Messages[].[MessageId,Attributes,MessageAttributes]' --queue-url %s",
				*queues.deadLetters.QueueUrl()),
		},
		{
			role: "DeadLettersExpiring", severity: page,
			// Not the age of the oldest: SQS leaves out of it what was received three times, and
			// so every dead letter that SQS has moved. Maximum over an hour: whoever looks at dead letters hides them
			// meanwhile, up to 5 minutes, and must not make an empty queue of it.
			metric: queues.deadLetters.MetricApproximateNumberOfMessagesVisible(over(maximum, hour)),
			// CloudWatch looks back over 7 days at most, which is 168 hours.
			breach: above, limit: 0, m: min(deadHours, 168), n: min(deadHours, 168),
			missing: missingIsGood,
			means:   fmt.Sprintf("There have been dead letters in each hour of %s. The oldest may be deleted for good in %s.", hours(min(deadHours, 168)), hours(24*(deadLetterRetentionDays-stage.RetentionDays)-min(deadHours, 168))),
			not:     fmt.Sprintf("a new dead letter; nor that one of them is %s old, where others came and went.", hours(min(deadHours, 168))),
			first:   attributesOf(queues.deadLetters.QueueUrl()),
		},
	}
}

// trafficPages are for stages that know their traffic.
func trafficPages(stack awscdk.Stack, stage stages.Stage, receiver receiver) []alarm {
	if stage.QuietEventsPerMinute == 0 {
		return nil
	}
	// In five minutes what the quietest one brings: a fifth of the least that is normal.
	floor := float64(stage.QuietEventsPerMinute)
	return []alarm{
		{
			role: "SignaturesFailing", severity: page,
			// 0 only in a minute in which somebody signed with a secret that is not ours and
			// nobody with ours. The one page that strangers touch: they would have to keep it
			// up for five minutes, and the traffic that this stage always sees to fail too.
			metric: ownMetric(stage, contract.Verified, maximum, minute),
			breach: below, limit: 1, m: 5, n: 5, // long before Nylas calls the webhook failing, after 15
			missing: missingIsGood, // no signed request at all is Silence
			means:   "For five minutes signatures failed and none was good: the secret here is not the one Nylas signs with.",
			not:     "a scan; that leaves good signatures beside it.",
			first:   logsOf(contract.Mismatch, receiver),
		},
		{
			role: "Silence", severity: page,
			metric: ownMetric(stage, contract.Accepted, sum, fiveMinutes),
			breach: below, limit: floor,
			m: 3, n: 3, // 15 minutes, after which Nylas calls a webhook failing; up to 25 where there is no data at all
			missing: missingIsBad, // nothing accepted is what it waits for
			means: fmt.Sprintf("For 15 minutes less than a fifth of what this stage sees in its quietest hour (%d notifications per minute) was accepted.",
				stage.QuietEventsPerMinute),
			not: "that they were refused; look whether they arrive at all.",
			first: fmt.Sprintf("aws cloudwatch describe-alarms --state-value ALARM --alarm-name-prefix %s- --query 'MetricAlarms[].AlarmName'",
				*stack.StackName()),
		},
	}
}

func gatewayTickets(stage stages.Stage, endpoint endpoint, receiver receiver) []alarm {
	flood := float64(floodLimit(stage))
	byStatus := fmt.Sprintf("aws logs tail %s --since 30m --filter-pattern '{ $.status != \"200\" }'", *endpoint.logs.LogGroupName())
	return []alarm{
		{
			role: "ClientErrors", severity: ticket,
			metric: endpoint.stage.MetricClientError(over(average, minute)),
			breach: above, limit: 0.05, m: 5, n: 5, // AWS's recommendation for this metric
			missing: missingIsGood,
			means:   "More than 5 % of the requests were answered 4xx for five minutes, the gateway's throttle (429) among them.",
			not:     "a loss by itself; scans look like this too. CloudWatch counts a remapped 503 here as well.",
			first:   byStatus,
		},
		{
			role: "ServerErrors", severity: ticket,
			metric: endpoint.stage.MetricServerError(over(average, minute)),
			breach: above, limit: 0.05, m: 3, n: 3, // AWS's recommendation for this metric
			missing: missingIsGood,
			means:   "More than 5 % of the requests were answered 5xx for three minutes.",
			not:     "which of the reasons; strangers can cause it with forged signatures, so it does not page.",
			first:   byStatus,
		},
		{
			role: "Flood", severity: ticket,
			metric: endpoint.stage.MetricCount(over(sum, fiveMinutes)),
			breach: above, limit: flood,
			m: 3, n: 3, // one of Nylas's bursts is over within seconds
			missing: missingIsGood,
			means:   fmt.Sprintf("More than %.0f requests in each 5 minutes of the last 15, far more than this stage states as usual.", flood),
			not:     "that anything is lost; below the throttle all of it is answered. Each request costs money, forged ones too.",
			first:   byStatus,
		},
		{
			role: "Latency", severity: ticket,
			metric: endpoint.stage.MetricLatency(over(p90, minute)),
			breach: above, limit: 2_000, // milliseconds, a fifth of what Nylas waits
			m: 5, n: 5,
			missing: missingIsGood,
			means:   "One in ten requests took longer than 2 s for five minutes. Nylas waits 10 s.",
			not:     "that Nylas gave up on any.",
			first:   slowRuns(1_000, receiver), // is it the function?
		},
	}
}

// floodLimit is how many requests in 5 minutes are far above what the stage states: a
// hundred times its quietest hour, where a busy hour has ten to thirty times that. It is
// never more than three of the largest bursts, 200 a second, which cost about 86 dollars
// a day where they go on (ADR 11); a stage that does not know its traffic has only that.
func floodLimit(stage stages.Stage) int {
	const farAbove, minutes, atMost = 100, fiveMinutes / minute, 3 * largestBurst
	if stage.QuietEventsPerMinute == 0 {
		return atMost
	}
	return min(farAbove*minutes*stage.QuietEventsPerMinute, atMost)
}

func receiverTickets(stage stages.Stage, receiver receiver) []alarm {
	own := func(metric contract.Metric, means, not string) alarm {
		return alarm{
			role: string(metric), severity: ticket,
			metric: ownMetric(stage, metric, sum, fiveMinutes),
			breach: above, limit: 0, m: 1, n: 1, // one is worth a look, and a ticket wakes nobody
			missing: missingIsGood,
			means:   means, not: not, first: logsOf(metric, receiver),
		}
	}
	table := []alarm{
		own(contract.Spilled, "SQS did not take a notification in its time. It is safe in S3 and has to be replayed.",
			"that it is lost, nor that SQS is down; single ones happen."),
		own(contract.Mismatch, "A well-formed signature matched no valid secret and was answered 503.",
			"necessarily Nylas; anybody can send one. If Nylas's secret was rotated elsewhere, every notification ends here."),
		own(contract.NoSecret, "Signed requests arrive, but no webhook secret is stored. They are answered 503.",
			"a fault; between registering the webhook and storing its secret it is normal."),
		own(contract.CompressedDelivery, "Nylas compresses its deliveries, which API Gateway unpacks, so no signature can be verified.",
			"a wrong secret. Within 10 to 20 minutes, while Nylas retries, nothing is lost."),
		own(contract.TestEvent, "Somebody pressed the test button at Nylas, whose events are signed with a public constant. It was answered 401.",
			"that the webhook does not work; these events can never be verified."),
		{
			role: "Duration", severity: ticket,
			metric: receiver.function.MetricDuration(over(p90, minute)),
			breach: above, limit: 4_000, // milliseconds, half of the function's timeout
			m: 5, n: 5,
			missing: missingIsGood,
			means:   "One in ten runs of the function took longer than 4 s for five minutes; at 8 s Lambda ends them.",
			not:     "which call is slow; the receiver's log has the milliseconds.",
			first:   slowRuns(4_000, receiver),
		},
		concurrencyTicket(stage, receiver),
	}
	if stage.ArchiveDays > 0 {
		archive := own(contract.ArchiveFailed, "The archive has no copy of a signed notification, so that hookctl replay and forward miss it.",
			"that it is lost or was refused; the archive changes no answer.")
		archive.first = fmt.Sprintf("aws logs tail %s --since 30m --filter-pattern '{ $.%s = 1 }'", *receiver.logs.LogGroupName(), contract.ArchiveFailed)
		table = append(table, archive)
	}
	return table
}

func concurrencyTicket(stage stages.Stage, receiver receiver) alarm {
	a := alarm{
		role: "Concurrency", severity: ticket,
		// ClaimedAccountConcurrency has no dimension: it is the account's.
		metric: awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
			Namespace: jsii.String("AWS/Lambda"), MetricName: jsii.String("ClaimedAccountConcurrency"),
			Statistic: jsii.String(maximum), Period: awscdk.Duration_Seconds(jsii.Number(minute)),
		}),
		breach: above, limit: 0.8 * float64(stage.AccountConcurrency), // a fifth is left when somebody reads the ticket
		m: 5, n: 10, // single bursts pass
		missing: missingIsGood,
		means:   "80 % of the account's Lambda concurrency is in use. At 100 % functions are throttled, this one among them.",
		not:     "necessarily the receiver; any function of the account and region counts.",
		first:   "aws lambda get-account-settings --query AccountLimit",
	}
	if stage.ReservedConcurrency > 0 {
		a.metric = receiver.function.Metric(jsii.String("ConcurrentExecutions"), over(maximum, minute))
		a.limit = 0.8 * float64(stage.ReservedConcurrency)
		a.means = "80 % of the receiver's reserved concurrency is in use. At 100 % it is throttled."
		a.not = "that anything was throttled; that is ReceiverThrottled."
		a.first = fmt.Sprintf("aws lambda get-function-concurrency --function-name %s", *receiver.function.FunctionName())
	}
	return a
}

func queueTickets(queues queues) []alarm {
	return []alarm{
		{
			role: "Backlog", severity: ticket,
			metric: queues.queue.MetricApproximateNumberOfMessagesVisible(over(average, minute)),
			breach: above, limit: largestBurst, // more than one burst
			m: 15, n: 15, // long enough to work one off
			missing: missingIsGood,
			means:   "More than 20,000 notifications have waited for 15 minutes, more than one of Nylas's bursts.",
			not:     "that they are old; that is QueueAge.",
			first:   attributesOf(queues.queue.QueueUrl()),
		},
		{
			role: "InFlight", severity: ticket,
			metric: queues.queue.MetricApproximateNumberOfMessagesNotVisible(over(maximum, minute)),
			breach: above, limit: 0.75 * inFlightLimit, // at the limit SQS gives out no more
			m: 5, n: 5,
			missing: missingIsGood,
			means:   "Consumers hold 75 % of the 120,000 messages that SQS lets them hold. At the limit receiving stops.",
			not:     "a backlog; these were received and not deleted.",
			first:   attributesOf(queues.queue.QueueUrl()),
		},
	}
}

// hours is a number of hours in a sentence, in days where it is whole ones.
func hours(n int) string {
	if n%24 == 0 && n > 24 {
		return fmt.Sprintf("%d days", n/24)
	}
	return fmt.Sprintf("%d hours", n)
}
