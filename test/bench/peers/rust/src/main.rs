//! The receiver's usual way in Rust: verify, send, check, answer. See ../../doc.go.

use std::collections::HashMap;
use std::env;

use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::types::MessageAttributeValue;
use aws_sdk_sqs::Client;
use base64::{engine::general_purpose::STANDARD, Engine};
use hmac::{Hmac, KeyInit, Mac};
use lambda_runtime::{service_fn, Error, LambdaEvent};
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use time::{format_description::well_known::Rfc3339, OffsetDateTime};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    headers: HashMap<String, String>,
    body: String,
    is_base64_encoded: bool,
    request_context: RequestContext,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext {
    extended_request_id: String,
}

#[derive(Deserialize)]
struct Envelope {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    webhook_delivery_attempt: u32,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    object: Object,
}

#[derive(Deserialize)]
struct Object {
    grant_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    status_code: u16,
    body: &'static str,
}

fn attribute(kind: &str, value: &str) -> Result<MessageAttributeValue, Error> {
    Ok(MessageAttributeValue::builder().data_type(kind).string_value(value).build()?)
}

async fn handle(sqs: &Client, queue: &str, secret: &str, event: Event) -> Result<Answer, Error> {
    let received = OffsetDateTime::now_utc();
    let body = if event.is_base64_encoded {
        String::from_utf8(STANDARD.decode(&event.body)?)?
    } else {
        event.body
    };
    let signature = event.headers.get("x-nylas-signature").ok_or("no signature")?;
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())?;
    mac.update(body.as_bytes());
    if mac.verify_slice(&hex::decode(signature)?).is_err() {
        return Ok(Answer { status_code: 503, body: "" });
    }
    let envelope: Envelope = serde_json::from_str(&body)?;
    let grant = envelope.data.object.grant_id;
    let request = &event.request_context.extended_request_id;
    let size = body.len();
    let sum = hex::encode(Md5::digest(body.as_bytes()));
    let sent = sqs
        .send_message()
        .queue_url(queue)
        .message_body(body)
        .message_group_id(&grant)
        .message_attributes("contract_version", attribute("String", "1")?)
        .message_attributes("received_at", attribute("String", &received.format(&Rfc3339)?)?)
        .message_attributes("signature", attribute("String", signature)?)
        .message_attributes("delivery_attempt", attribute("Number", &envelope.webhook_delivery_attempt.to_string())?)
        .message_attributes("notification_id", attribute("String", &envelope.id)?)
        .message_attributes("trigger_type", attribute("String", &envelope.kind)?)
        .message_attributes("grant_id", attribute("String", &grant)?)
        .message_attributes("request_id", attribute("String", request)?)
        .send()
        .await?;
    if sent.md5_of_message_body() != Some(&sum) {
        return Ok(Answer { status_code: 503, body: "" });
    }
    println!(
        "{}",
        serde_json::json!({
            "timestamp": received.format(&Rfc3339)?, "level": "INFO", "msg": "request", "outcome": "Accepted", "status": 200,
            "request_id": request, "notification_id": envelope.id, "type": envelope.kind, "grant_id": grant,
            "attempt": envelope.webhook_delivery_attempt, "bytes": size,
        })
    );
    Ok(Answer { status_code: 200, body: "" })
}

#[tokio::main(flavor = "current_thread")] // one event at a time needs no second thread
async fn main() -> Result<(), Error> {
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(env::var("AWS_REGION")?))
        .endpoint_url(env::var("AWS_ENDPOINT_URL")?)
        .credentials_provider(Credentials::new(
            env::var("AWS_ACCESS_KEY_ID")?,
            env::var("AWS_SECRET_ACCESS_KEY")?,
            env::var("AWS_SESSION_TOKEN").ok(),
            None,
            "environment",
        ))
        .build();
    let sqs = Client::from_conf(config);
    let queue = env::var("WEBHOOK_QUEUE_URL")?;
    let secret = env::var("BENCH_SECRET")?;
    let (sqs, queue, secret) = (&sqs, queue.as_str(), secret.as_str());
    lambda_runtime::run(service_fn(move |e: LambdaEvent<Event>| handle(sqs, queue, secret, e.payload))).await
}
