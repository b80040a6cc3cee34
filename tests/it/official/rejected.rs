//! The steps that the server rejects.

use hearth_test_support::report::Outcome;
use serde_json::json;

use super::call::{Call, CallResult};
use super::client::Kind;
use super::rejections::assert_rejected;
use super::visit::{UNKNOWN, Visit};

impl Visit<'_> {
    /// Runs a step that is one rejected call.
    pub(super) async fn rejection(&mut self, step: &str) -> Outcome {
        let (own, other_team) = (self.id(), self.other_team);
        let run = json!({"language": "node", "code": "1"});
        let destroyed = json!({"success": false, "error": "Browser session has been destroyed."});
        let unknown = json!({"success": false, "error": "Browser session not found."});
        let foreign = json!({"success": false, "error": "Forbidden."});
        let (call, status, body) = match step {
            "delete an unknown session" => (Call::Delete(UNKNOWN), 404, unknown),
            "delete another team's session" => (Call::Delete(other_team), 403, foreign),
            "execute on a destroyed session" => (Call::Execute(&own, run), 410, destroyed),
            "execute on an unknown session" => (Call::Execute(UNKNOWN, run), 404, unknown),
            "execute on another team's session" => (Call::Execute(other_team, run), 403, foreign),
            "unknown key" | "no key" => return self.unauthorized(step).await,
            _ => return self.bad_parameter(step, &own).await,
        };
        let answer = self.call(&call).await;
        assert_rejected(self.kind(), &call, answer, status, &body)
    }

    async fn unauthorized(&mut self, step: &str) -> Outcome {
        let call = Call::Create(json!({}));
        let (key, error) = match (step, self.kind()) {
            ("unknown key", _) => (Some("nobody's"), "Unauthorized: Invalid token"),
            // It sends `Authorization: Bearer` without a token.
            (_, Kind::CommandLine) => (None, "Unauthorized: Token missing"),
            _ => (None, "Unauthorized"),
        };
        let answer = self.client.call(key, &call).await;
        assert_rejected(
            self.kind(),
            &call,
            answer,
            401,
            &json!({"success": false, "error": error}),
        )
    }

    /// Compares with the server's response to the same request without a client. The validation
    /// tests check that this response is correct.
    async fn bad_parameter(&mut self, step: &str, id: &str) -> Outcome {
        let profile = json!({"name": "", "saveChanges": false});
        let call = match step {
            "ttl of 5 s" => Call::Create(json!({"ttl": 5})),
            "activityTtl and profile out of range" => {
                Call::Create(json!({"activityTtl": 3601, "profile": profile}))
            }
            "ttl that is not a number" => Call::Create(json!({"ttl": "long"})),
            "streamWebView that is not a boolean" => Call::Create(json!({"streamWebView": "yes"})),
            "empty code" => Call::Execute(id, json!({"language": "bash", "code": ""})),
            "code that is not a string" => {
                Call::Execute(id, json!({"language": "bash", "code": 42}))
            }
            "unknown language" => Call::Execute(id, json!({"language": "ruby", "code": "1"})),
            "timeout of 0 s" => {
                Call::Execute(id, json!({"language": "bash", "code": "1", "timeout": 0}))
            }
            "timeout that is not a number" => {
                Call::Execute(id, json!({"language": "bash", "code": "1", "timeout": "1"}))
            }
            "unknown status in a list" => Call::List(json!({"status": "stopped"})),
            _ => unreachable!("{step}"),
        };
        let reply = match &call {
            Call::Create(body) => self.api.create(body).await,
            Call::Execute(id, body) => self.api.execute(id, body).await,
            _ => self.api.list("?status=stopped").await,
        };
        assert_eq!(reply.status, 400, "{}", reply.text);
        let answer = self.call(&call).await;
        if let (Kind::CommandLine, Call::List(_)) = (self.kind(), &call) {
            let message = "Error: Invalid status \"stopped\". Use \"active\" or \"destroyed\".\n";
            assert_eq!(
                answer,
                CallResult::Raised(json!({"message": message, "status": 1}))
            );
            return Outcome::Good("rejected by the client itself".to_owned());
        }
        let body = match (self.kind(), step) {
            // It turns the text into a number itself, which fails, and sends null.
            (Kind::CommandLine, "ttl that is not a number") => {
                self.api.create(&json!({"ttl": null})).await.body
            }
            _ => reply.body,
        };
        assert_rejected(self.kind(), &call, answer, 400, &body)
    }
}
