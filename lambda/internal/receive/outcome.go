package receive

import (
	"net/http"

	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
)

// outcome is one way in which a request can end.
type outcome struct {
	reason contract.Reason
	metric contract.Metric
	status int
}

// The status contract. Nylas takes 200 for delivered, sends again after 503, and
// gives the notification up at once after 400 and 401; 500 would lose it as well and
// is never answered.
// https://developer.nylas.com/docs/v3/notifications/
var (
	challenged = outcome{contract.ReasonNone, contract.Challenged, http.StatusOK}
	accepted   = outcome{contract.ReasonNone, contract.Accepted, http.StatusOK}

	// SQS is down and S3 has it: an outage may outlast Nylas's 20 minutes.
	spilled = outcome{contract.ReasonSpilled, contract.Spilled, http.StatusOK}

	// Not from Nylas, whatever the secret is.
	noChallenge        = outcome{contract.ReasonNoChallenge, contract.Refused, http.StatusBadRequest}
	badChallenge       = outcome{contract.ReasonBadChallenge, contract.Refused, http.StatusBadRequest}
	badMethod          = outcome{contract.ReasonBadMethod, contract.Refused, http.StatusBadRequest}
	noSignature        = outcome{contract.ReasonNoSignature, contract.Refused, http.StatusUnauthorized}
	malformedSignature = outcome{contract.ReasonMalformedSignature, contract.Refused, http.StatusUnauthorized}
	// Nylas's test button signs with a public constant; it can never verify.
	testEvent = outcome{contract.ReasonTestEvent, contract.TestEvent, http.StatusUnauthorized}

	// Perhaps genuine: a rotation in Nylas takes effect at once, and until the new
	// secret is stored here, 401 would lose every notification.
	mismatch = outcome{contract.ReasonMismatch, contract.Mismatch, http.StatusServiceUnavailable}
	// Perhaps genuine: the signed bytes were unpacked by API Gateway. Nylas's retries
	// leave 10 to 20 minutes to turn compressed_delivery off.
	compressedDelivery = outcome{contract.ReasonCompressedDelivery, contract.CompressedDelivery, http.StatusServiceUnavailable}
	// Perhaps genuine: Nylas tells the secret only after the challenge was answered.
	noSecret          = outcome{contract.ReasonNoSecret, contract.NoSecret, http.StatusServiceUnavailable}
	secretUnavailable = outcome{contract.ReasonSecretUnavailable, contract.SecretUnavailable, http.StatusServiceUnavailable}

	// Genuine, and nowhere safe.
	sendFailed = outcome{contract.ReasonSendFailed, contract.SendFailed, http.StatusServiceUnavailable}
	tooLarge   = outcome{contract.ReasonTooLarge, contract.SendFailed, http.StatusServiceUnavailable}

	// Our own fault.
	badEvent = outcome{contract.ReasonBadEvent, contract.Faulted, http.StatusServiceUnavailable}
	panicked = outcome{contract.ReasonPanic, contract.Faulted, http.StatusServiceUnavailable}
)
