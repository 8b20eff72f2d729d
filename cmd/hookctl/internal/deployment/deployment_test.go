package deployment

import "testing"

func TestOnEndpoint(t *testing.T) {
	const aws = "https://37b3f8be.execute-api.us-east-1.amazonaws.com/local/nylas"
	for _, test := range []struct{ webhook, endpoint, want string }{
		{aws, "", aws},
		{aws, "https://localhost:4566", "https://localhost:4566/restapis/37b3f8be/local/_user_request_/nylas"},
		{aws, "https://localhost:4566/", "https://localhost:4566/restapis/37b3f8be/local/_user_request_/nylas"},
		{"https://hooks.example.com/nylas", "https://localhost:4566", "https://hooks.example.com/nylas"},
	} {
		if got := onEndpoint(test.webhook, test.endpoint); got != test.want {
			t.Errorf("onEndpoint(%q, %q) = %q, want %q", test.webhook, test.endpoint, got, test.want)
		}
	}
}
