// Package nylasapi is a client of the part of the Nylas v3 API that webhooks need:
// list, find, create, update and delete a webhook, and rotate its secret.
//
// hookctl's commands call it. Requests and answers have the fields of the official
// SDKs (npm nylas 8.4.0, PyPI nylas 6.18.0) and of Nylas's OpenAPI description; test/nylas
// runs those SDKs and this client against one stub. It stores nothing, decides
// nothing about a stage, and prints nothing; a webhook's secret is only in
// [WithSecret], which no command prints, and the API key is in no error.
package nylasapi
