package stack

import "github.com/onepagecrm/nylas-webhooks/consumer"

const tableType = "AWS::DynamoDB::Table"

var workerRules = []rule{
	{
		name: "worker's rights", why: "what handles mail puts aside what it rejects and writes down what it handled; it must not send to the queue it reads",
		check: func(d deployment) (f findings) {
			want := map[string]any{"sqs:SendMessage": getAtt(d.template.id(queueType, "DeadLetters"), "Arn")}
			if d.stage.Deduplicate {
				for _, action := range []string{"dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:UpdateItem"} {
					want[action] = getAtt(d.template.id(tableType, "Completed"), "Arn")
				}
			}
			if d.stage.OwnKey {
				want["kms:Decrypt"] = getAtt(d.template.id(keyType, "Key"), "Arn")
				want["kms:GenerateDataKey"] = want["kms:Decrypt"]
			}
			f.want("the worker's rights", rights(d.template.props(managedPolicyType, "WorkerPolicy")), want)
			return f
		},
		mutations: []mutation{
			{"any queue", func(t template) { workerStatement(t, 0)["Resource"] = "*" }},
			{"reads the table", func(t template) { workerStatement(t, 1)["Action"] = "dynamodb:*" }},
		},
	},
	{
		name: "table of what was handled", why: "package consumer finds its key and lets old entries expire; without either it handles twice, or keeps ids for ever",
		check: func(d deployment) (f findings) {
			id := d.template.id(tableType, "Completed")
			f.want("having the table", id != "", d.stage.Deduplicate)
			if id == "" {
				return f
			}
			p := d.template.props(tableType, "Completed")
			f.want("the key", p.at("KeySchema"), []any{map[string]any{"AttributeName": consumer.TableKey, "KeyType": "HASH"}})
			f.want("the key's type", p.at("AttributeDefinitions"), []any{map[string]any{"AttributeName": consumer.TableKey, "AttributeType": "S"}})
			f.want("time to live", p.at("TimeToLiveSpecification"), map[string]any{"AttributeName": consumer.TableTTL, "Enabled": true})
			f.want("billing", p.at("BillingMode"), "PAY_PER_REQUEST")
			f.want("the output", d.template.Outputs["CompletedTableName"].Value, ref(id))
			return f
		},
		mutations: []mutation{
			{"kept for ever", set(tableType, "Completed", nil, "TimeToLiveSpecification")},
			{"another key", set(tableType, "Completed", []any{map[string]any{"AttributeName": "pk", "KeyType": "HASH"}}, "KeySchema")},
			{"gone", func(t template) { delete(t.Resources, t.id(tableType, "Completed")) }},
		},
	},
}

func workerStatement(t template, i int) object {
	return objects(t.props(managedPolicyType, "WorkerPolicy").at("PolicyDocument", "Statement"))[i]
}
