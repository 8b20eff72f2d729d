package consumer

import (
	"context"
	"regexp"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// strictTable checks what DynamoDB refuses with a ValidationException: a name or value that an
// expression uses and nobody defines, or that is defined and not used.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.ExpressionAttributeNames.html
type strictTable struct {
	t    *testing.T
	item map[string]types.AttributeValue // that was put
	sets map[string]types.AttributeValue // values of the last update
}

var placeholder = regexp.MustCompile(`[#:][a-z_]+`)

func (d *strictTable) check(names map[string]string, values map[string]types.AttributeValue, expressions ...*string) {
	var used []string
	for _, e := range expressions {
		used = append(used, placeholder.FindAllString(aws.ToString(e), -1)...)
	}
	slices.Sort(used)
	used = slices.Compact(used)
	var defined []string
	for name, attribute := range names {
		if attribute == "" {
			d.t.Errorf("%s names nothing", name)
		}
		defined = append(defined, name)
	}
	for name := range values {
		defined = append(defined, name)
	}
	slices.Sort(defined)
	if !slices.Equal(used, defined) {
		d.t.Errorf("%q are used, %q are defined", used, defined)
	}
}

func (d *strictTable) PutItem(_ context.Context, in *dynamodb.PutItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error) {
	d.check(in.ExpressionAttributeNames, in.ExpressionAttributeValues, in.ConditionExpression)
	d.item = in.Item
	return &dynamodb.PutItemOutput{}, nil
}

func (d *strictTable) UpdateItem(_ context.Context, in *dynamodb.UpdateItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	d.check(in.ExpressionAttributeNames, in.ExpressionAttributeValues, in.ConditionExpression, in.UpdateExpression)
	d.sets = in.ExpressionAttributeValues
	return &dynamodb.UpdateItemOutput{}, nil
}

func (d *strictTable) DeleteItem(_ context.Context, in *dynamodb.DeleteItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.DeleteItemOutput, error) {
	d.check(in.ExpressionAttributeNames, in.ExpressionAttributeValues, in.ConditionExpression)
	return &dynamodb.DeleteItemOutput{}, nil
}

func TestExpressionsAreWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := &strictTable{t: t}
		store, err := NewDynamoDBStore(client, "handled", 14*24*time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		until := time.Now().Add(time.Minute)
		if _, err := store.Begin(t.Context(), "1", "me", until); err != nil {
			t.Fatal(err)
		}
		// Now is 2000-01-01 in a bubble.
		for name, want := range map[string]string{"id": "1", "expires_at": "947894400", "state": "in_progress", "owner": "me", "lease_until": "946684860000"} {
			if got := textOf(client.item[name]) + numberOf(client.item[name]); got != want {
				t.Errorf("attribute %s is %q, want %q", name, got, want)
			}
		}
		if err := store.Extend(t.Context(), "1", "me", until); err != nil {
			t.Fatal(err)
		}
		if textOf(client.sets[":owner"]) != "me" || textOf(client.sets[":in_progress"]) != "in_progress" || numberOf(client.sets[":until"]) != "946684860000" {
			t.Errorf("extended with %v", client.sets)
		}
		if err := store.Complete(t.Context(), "1", "me"); err != nil {
			t.Fatal(err)
		}
		if textOf(client.sets[":completed"]) != "completed" || numberOf(client.sets[":ttl"]) != "947894400" || textOf(client.sets[":at"]) != "2000-01-01T00:00:00Z" {
			t.Errorf("completed with %v", client.sets)
		}
		if err := store.Release(t.Context(), "1", "me"); err != nil {
			t.Fatal(err)
		}
	})
}
