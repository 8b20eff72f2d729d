package consumer

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/onepagecrm/nylas-webhooks/internal/dedupetable"
	"github.com/onepagecrm/nylas-webhooks/internal/sdkhttp"
)

// The table of [DynamoDBStore] has the partition key [TableKey] (a string), no sort
// key, and time to live on [TableTTL].
const (
	TableKey = dedupetable.Key
	TableTTL = dedupetable.TTL // Unix seconds
)

// The other attributes of an item.
const (
	tableState     = "state" // in_progress or completed
	tableOwner     = "owner"
	tableUntil     = "lease_until"  // Unix milliseconds; of an item in progress
	tableCompleted = "completed_at" // RFC 3339, for people
)

// DynamoDBAPI is what the store needs of *dynamodb.Client. Its IAM actions are
// dynamodb:PutItem, UpdateItem and DeleteItem.
type DynamoDBAPI interface {
	PutItem(context.Context, *dynamodb.PutItemInput, ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
	UpdateItem(context.Context, *dynamodb.UpdateItemInput, ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error)
	DeleteItem(context.Context, *dynamodb.DeleteItemInput, ...func(*dynamodb.Options)) (*dynamodb.DeleteItemOutput, error)
}

// DynamoDBStore is a [Store] for any number of processes: one item per
// notification, changed only by conditional writes. It compares the clocks of the
// processes; a skew of some seconds lets a second attempt begin that much early.
type DynamoDBStore struct {
	client    DynamoDBAPI
	table     string
	retention time.Duration
}

// NewDynamoDBStore returns a store in the table of that name. Retention is how long
// a completed notification is remembered; 0 is [DefaultRetention], and less than
// [MinRetention] is an error.
func NewDynamoDBStore(client DynamoDBAPI, table string, retention time.Duration) (*DynamoDBStore, error) {
	if retention == 0 {
		retention = DefaultRetention
	}
	var problems []error
	if client == nil {
		problems = append(problems, errors.New("the DynamoDB client is missing"))
	}
	if table == "" {
		problems = append(problems, errors.New("the table's name is missing"))
	}
	if retention < MinRetention {
		problems = append(problems, fmt.Errorf("a retention of %s is shorter than the %s within which Nylas may send a notification again", retention, MinRetention))
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return &DynamoDBStore{client, table, retention}, nil
}

// Begin implements [Store].
func (s *DynamoDBStore) Begin(ctx context.Context, id, owner string, until time.Time) (Claim, error) {
	now := time.Now()
	_, err := s.client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &s.table,
		Item: map[string]types.AttributeValue{
			TableKey:   text(id),
			TableTTL:   number(now.Add(s.retention).Unix()),
			tableState: text(string(InProgress)),
			tableOwner: text(owner),
			tableUntil: number(until.UnixMilli()),
		},
		// Time to live deletes within days, so an expired item is looked at as if it
		// were gone.
		// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TTL.html
		ConditionExpression: aws.String("attribute_not_exists(#id) OR #ttl < :seconds OR (#state = :in_progress AND #until < :milliseconds)"),
		ExpressionAttributeNames: map[string]string{
			"#id": TableKey, "#ttl": TableTTL, "#state": tableState, "#until": tableUntil,
		},
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":seconds": number(now.Unix()), ":milliseconds": number(now.UnixMilli()), ":in_progress": text(string(InProgress)),
		},
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}, directDynamoDB)
	item, refused := conditionFailed(err)
	switch {
	case err == nil:
		return Claim{State: Claimed}, nil
	case !refused:
		return Claim{}, fmt.Errorf("begin in table %s: %w", s.table, err)
	case textOf(item[tableState]) == string(Completed):
		return Claim{State: Completed}, nil
	case textOf(item[tableOwner]) == owner:
		// The SDK's own retry of a write whose answer was lost.
		return Claim{State: Claimed}, nil
	}
	milliseconds, err := strconv.ParseInt(numberOf(item[tableUntil]), 10, 64)
	if err != nil {
		return Claim{}, fmt.Errorf("begin in table %s: attribute %s: %w", s.table, tableUntil, err)
	}
	return Claim{State: InProgress, Until: time.UnixMilli(milliseconds)}, nil
}

// held is the condition of every change after [DynamoDBStore.Begin].
const held = "#owner = :owner AND #state = :in_progress"

// Extend implements [Store].
func (s *DynamoDBStore) Extend(ctx context.Context, id, owner string, until time.Time) error {
	return s.update(ctx, "extend", id, owner, "SET #until = :until",
		map[string]string{"#until": tableUntil},
		map[string]types.AttributeValue{":until": number(until.UnixMilli())})
}

// Complete implements [Store].
func (s *DynamoDBStore) Complete(ctx context.Context, id, owner string) error {
	now := time.Now()
	return s.update(ctx, "complete", id, owner, "SET #state = :completed, #at = :at, #ttl = :ttl REMOVE #until",
		map[string]string{"#at": tableCompleted, "#ttl": TableTTL, "#until": tableUntil},
		map[string]types.AttributeValue{
			":completed": text(string(Completed)),
			":at":        text(now.UTC().Format(time.RFC3339Nano)),
			":ttl":       number(now.Add(s.retention).Unix()),
		})
}

func (s *DynamoDBStore) update(ctx context.Context, verb, id, owner, expression string, names map[string]string, values map[string]types.AttributeValue) error {
	names["#owner"], names["#state"] = tableOwner, tableState
	values[":owner"], values[":in_progress"] = text(owner), text(string(InProgress))
	_, err := s.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                           &s.table,
		Key:                                 map[string]types.AttributeValue{TableKey: text(id)},
		UpdateExpression:                    &expression,
		ConditionExpression:                 aws.String(held),
		ExpressionAttributeNames:            names,
		ExpressionAttributeValues:           values,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}, directDynamoDB)
	return s.outcome(verb, owner, err)
}

// Release implements [Store].
func (s *DynamoDBStore) Release(ctx context.Context, id, owner string) error {
	_, err := s.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName:                 &s.table,
		Key:                       map[string]types.AttributeValue{TableKey: text(id)},
		ConditionExpression:       aws.String(held),
		ExpressionAttributeNames:  map[string]string{"#owner": tableOwner, "#state": tableState},
		ExpressionAttributeValues: map[string]types.AttributeValue{":owner": text(owner), ":in_progress": text(string(InProgress))},

		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}, directDynamoDB)
	return s.outcome("release", owner, err)
}

// outcome is the error of a change under the condition [held]. That owner has
// completed it before is no error: the SDK retries a write whose answer was lost.
func (s *DynamoDBStore) outcome(verb, owner string, err error) error {
	item, refused := conditionFailed(err)
	switch {
	case err == nil:
		return nil
	case !refused:
		return fmt.Errorf("%s in table %s: %w", verb, s.table, err)
	case textOf(item[tableOwner]) == owner && textOf(item[tableState]) == string(Completed):
		return nil
	}
	return fmt.Errorf("%s in table %s: %w", verb, s.table, ErrLeaseLost)
}

// conditionFailed tells whether err is a refused condition, and the item as it was.
func conditionFailed(err error) (map[string]types.AttributeValue, bool) {
	var refused *types.ConditionalCheckFailedException
	if !errors.As(err, &refused) {
		return nil, false
	}
	return refused.Item, true
}

func text(value string) types.AttributeValue {
	return &types.AttributeValueMemberS{Value: value}
}

func number(value int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(value, 10)}
}

// textOf returns "" for anything but a string.
func textOf(value types.AttributeValue) string {
	if s, ok := value.(*types.AttributeValueMemberS); ok {
		return s.Value
	}
	return ""
}

// numberOf returns "" for anything but a number.
func numberOf(value types.AttributeValue) string {
	if n, ok := value.(*types.AttributeValueMemberN); ok {
		return n.Value
	}
	return ""
}

// directDynamoDB follows no redirect, whichever client the program made: see package
// sdkhttp.
func directDynamoDB(o *dynamodb.Options) { o.HTTPClient = sdkhttp.Client(o.HTTPClient) }
