//! Tokens and keys of clouds, from small servers on the loopback interface that the environment names.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base::{Error, ManualClock, Result};
use base64::Engine as _;
use collect::config::{
    Authorization, AwsRole, AzureAdConfig, AzureCloud, AzureIdentity, GoogleIamConfig, Grant, HttpConfig,
    JwtAlgorithm, JwtGrant, OAuth2Config, ProxyConfig, Secret, SigV4Config, Source, TlsConfig,
};
use collect::http::HttpTransport;
use collect::post::{Post as _, PostRequest};
use serde_json::{Value, json};

use crate::http_transport::{Server, header};
use crate::outgoing::{Reply, Small, ok};

/// 2027-01-15 08:00.
const NOW_MS: i64 = 1_800_000_000_000;

thread_local! {
    static VARIABLES: RefCell<HashMap<&'static str, String>> = RefCell::default();
}

fn set(name: &'static str, value: impl Into<String>) {
    VARIABLES.with_borrow_mut(|all| _ = all.insert(name, value.into()));
}

fn unset(name: &'static str) {
    VARIABLES.with_borrow_mut(|all| _ = all.remove(name));
}

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/rsa").join(name)
}

/// Posts to a server; gives the head that it got.
struct Sender {
    server: Server,
    clock: Arc<ManualClock>,
    transport: HttpTransport,
}

impl Sender {
    async fn start() -> Self {
        let clock = Arc::new(ManualClock::new(NOW_MS));
        let variable = |name: &str| VARIABLES.with_borrow(|all| all.get(name).cloned());
        let transport = HttpTransport::new(clock.clone(), variable);
        Self { server: Server::start().await, clock, transport }
    }

    async fn head(&self, authorization: Authorization) -> Result<String> {
        let http = HttpConfig { authorization, ..HttpConfig::default() };
        let url = format!("http://{}/write", self.server.address);
        let request = PostRequest { url, headers: vec![], body: "the body".into(), http };
        let shown = format!("{request:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
        self.transport.post(request).await?;
        Ok(self.server.last_head())
    }

    async fn bearer(&self, authorization: &Authorization) -> String {
        header(&self.head(authorization.clone()).await.unwrap(), "authorization").unwrap()
    }

    async fn error(&self, authorization: Authorization) -> Error {
        let error = self.head(authorization).await.unwrap_err();
        assert!(!error.message().contains("hunter2"), "{error}");
        error
    }
}

/// Gives `t1`, `t2` and so on.
async fn tokens() -> Small {
    let number = std::sync::Mutex::new(0);
    Small::start(move |_| {
        let mut number = number.lock().unwrap();
        *number += 1;
        ok(format!(r#"{{"access_token":"t{number}","token_type":"Bearer","expires_in":"3600"}}"#))
    })
    .await
}

/// The fields of a form that was posted.
fn form(request: &str) -> HashMap<String, String> {
    let body = request.split_once("\r\n\r\n").unwrap().1;
    url::form_urlencoded::parse(body.as_bytes()).into_owned().collect()
}

/// Header and claims of what was signed.
fn signed(jwt: &str) -> (Value, Value) {
    let part = |n: usize| {
        let text = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(jwt.split('.').nth(n).unwrap());
        serde_json::from_slice(&text.unwrap()).unwrap()
    };
    (part(0), part(1))
}

fn azure(identity: AzureIdentity) -> Authorization {
    let config = AzureAdConfig { cloud: AzureCloud::Public, scope: None, identity };
    Authorization::AzureAd(Box::new(config))
}

#[tokio::test]
async fn azure_gives_tokens_to_applications() {
    let (entra, sender) = (tokens().await, Sender::start().await);
    set("AZURE_AUTHORITY_HOST", format!("http://{}/", entra.address));
    let (client_id, tenant_id) = ("me".to_owned(), "tenant1".to_owned());
    let by_secret = azure(AzureIdentity::Secret {
        client_id: client_id.clone(),
        tenant_id: tenant_id.clone(),
        secret: Secret::new("hunter2"),
    });
    for (seconds, want) in [(0, "Bearer t1"), (1799, "Bearer t1"), (2, "Bearer t2")] {
        sender.clock.advance(Duration::from_secs(seconds));
        assert_eq!(sender.bearer(&by_secret).await, want, "for half of its time");
    }
    let asked = entra.seen();
    assert_eq!(asked.len(), 2);
    assert!(asked[0].starts_with("POST /tenant1/oauth2/v2.0/token HTTP/1.1\r\n"), "{}", asked[0]);
    let fields = form(&asked[0]);
    assert_eq!(fields["grant_type"], "client_credentials");
    assert_eq!(fields["scope"], "https://monitor.azure.com//.default");
    assert_eq!((fields["client_id"].as_str(), fields["client_secret"].as_str()), ("me", "hunter2"));

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "of kubernetes\n").unwrap();
    set("AZURE_FEDERATED_TOKEN_FILE", file.to_str().unwrap());
    let workload = AzureIdentity::Workload {
        client_id: client_id.clone(),
        tenant_id: tenant_id.clone(),
        token_file: None,
    };
    assert_eq!(sender.bearer(&azure(workload)).await, "Bearer t3");
    let fields = form(&entra.seen()[2]);
    assert_eq!(fields["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    assert_eq!(fields["client_assertion"], "of kubernetes");

    let certificate = AzureIdentity::Certificate {
        client_id,
        tenant_id,
        certificate: fixture("certificate.pem"),
        key: Some(fixture("key.pem")),
        send_chain: true,
    };
    assert_eq!(sender.bearer(&azure(certificate)).await, "Bearer t4");
    let (head, claims) = signed(&form(&entra.seen()[3])["client_assertion"]);
    assert_eq!((head["alg"].as_str(), head["x5c"].as_array().map(Vec::len)), (Some("PS256"), Some(1)));
    assert_eq!(head["x5t#S256"].as_str().map(str::len), Some(43));
    assert_eq!(claims["aud"], format!("http://{}/tenant1/oauth2/v2.0/token", entra.address));
    assert_eq!((&claims["iss"], &claims["sub"]), (&json!("me"), &json!("me")));

    let by_environment = azure(AzureIdentity::Environment { tenant_id: None });
    set("AZURE_CLIENT_ID", "other");
    set("AZURE_TENANT_ID", "there");
    assert_eq!(sender.bearer(&by_environment).await, "Bearer t5");
    assert_eq!(form(&entra.seen()[4])["client_assertion"], "of kubernetes");
    assert!(entra.seen()[4].starts_with("POST /there/"));
}

#[tokio::test]
async fn azure_gives_tokens_to_machines_and_says_why_not() {
    let sender = Sender::start().await;
    let machine = Small::start(|request| match request.contains("client_id=gone") {
        true => Reply::Answer(
            "400 Bad Request",
            r#"{"error":"invalid_request","error_description":"Identity not found"}"#.into(),
        ),
        false => ok(r#"{"access_token":"m","token_type":"Bearer","expires_on":"1800003600"}"#),
    })
    .await;
    set("AZURE_POD_IDENTITY_AUTHORITY_HOST", format!("http://{}", machine.address));
    let managed = |id: Option<&str>| azure(AzureIdentity::Managed { client_id: id.map(str::to_owned) });
    assert_eq!(sender.bearer(&managed(None)).await, "Bearer m");
    let asked = machine.seen().remove(0);
    let want = "GET /metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fmonitor.azure.com%2F HTTP/1.1";
    assert!(asked.starts_with(want) && header(&asked, "metadata").as_deref() == Some("true"), "{asked}");
    let error = sender.error(managed(Some("gone"))).await;
    let want =
        "cannot get a token of Azure: server returned HTTP status 400: invalid_request: Identity not found";
    assert!(error.message().ends_with(want), "{error}");
    set("IDENTITY_ENDPOINT", format!("http://{}/msi", machine.address));
    set("IDENTITY_HEADER", "hunter2");
    assert_eq!(sender.bearer(&managed(Some("mine"))).await, "Bearer m");
    let asked = machine.seen().pop().unwrap();
    assert!(asked.starts_with("GET /msi?api-version=2019-08-01&resource="), "{asked}");
    assert_eq!(header(&asked, "x-identity-header").as_deref(), Some("hunter2"));
    // A secret must not go out for everybody to read.
    set("AZURE_AUTHORITY_HOST", "http://login.test");
    let secret = AzureIdentity::Secret {
        client_id: "c".into(),
        tenant_id: "t".into(),
        secret: Secret::new("hunter2"),
    };
    let error = sender.error(azure(secret)).await;
    assert!(error.message().ends_with("secrets go out by https alone"), "{error}");
}

#[tokio::test]
async fn google_gives_tokens_for_files_and_to_machines() {
    let (google, sender) = (tokens().await, Sender::start().await);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("credentials.json");
    let url = format!("http://{}/token", google.address);
    let by_file =
        Authorization::GoogleIam(Box::new(GoogleIamConfig { credentials_file: Some(file.clone()) }));
    let key = std::fs::read_to_string(fixture("key.pem")).unwrap();
    let account = json!({"type": "service_account", "client_email": "me@x.test", "private_key": key,
        "private_key_id": "k1", "token_uri": url});
    std::fs::write(&file, account.to_string()).unwrap();
    for (seconds, want) in [(0, "Bearer t1"), (3589, "Bearer t1"), (1, "Bearer t2")] {
        sender.clock.advance(Duration::from_secs(seconds));
        assert_eq!(sender.bearer(&by_file).await, want);
    }
    let fields = form(&google.seen()[0]);
    assert_eq!(fields["grant_type"], "urn:ietf:params:oauth:grant-type:jwt-bearer");
    let (head, claims) = signed(&fields["assertion"]);
    assert_eq!(head, json!({"alg": "RS256", "typ": "JWT", "kid": "k1"}));
    let now = NOW_MS / 1000;
    let scope = "https://www.googleapis.com/auth/monitoring.write";
    let want = json!({"iss": "me@x.test", "scope": scope, "aud": url, "iat": now, "exp": now + 3600});
    assert_eq!(claims, want);

    let user = json!({"type": "authorized_user", "client_id": "c", "client_secret": "hunter2",
        "refresh_token": "hunter22", "token_uri": url});
    std::fs::write(&file, user.to_string()).unwrap();
    let by_environment = Authorization::GoogleIam(Box::new(GoogleIamConfig { credentials_file: None }));
    set("GOOGLE_APPLICATION_CREDENTIALS", file.to_str().unwrap());
    assert_eq!(sender.bearer(&by_environment).await, "Bearer t3");
    let fields = form(&google.seen()[2]);
    assert_eq!(
        (fields["grant_type"].as_str(), fields["refresh_token"].as_str()),
        ("refresh_token", "hunter22")
    );

    std::fs::write(&file, r#"{"type":"external_account","x":"hunter2"}"#).unwrap();
    sender.clock.advance(Duration::from_secs(3600));
    let error = sender.error(by_environment.clone()).await;
    assert!(error.message().contains(r#"type "external_account" is not known here"#), "{error}");

    unset("GOOGLE_APPLICATION_CREDENTIALS");
    set("GCE_METADATA_HOST", google.address.clone());
    sender.clock.advance(Duration::from_secs(30));
    assert_eq!(sender.bearer(&by_environment).await, "Bearer t4");
    let asked = google.seen().pop().unwrap();
    let path = "GET /computeMetadata/v1/instance/service-accounts/default/token?scopes=https://www.googleapis.com/auth/monitoring.write ";
    assert!(
        asked.starts_with(path) && header(&asked, "metadata-flavor").as_deref() == Some("Google"),
        "{asked}"
    );
}

fn sigv4(key: bool, profile: Option<&str>, role: Option<&str>) -> Authorization {
    Authorization::SigV4(Box::new(SigV4Config {
        region: Some("eu-west-1".into()),
        key: key.then(|| ("AKID".into(), Secret::new("hunter2"))),
        profile: profile.map(str::to_owned),
        role: role.map(|arn| AwsRole { arn: arn.into(), external_id: Some("e1".into()) }),
        use_fips_sts_endpoint: false,
        service: "aps".into(),
    }))
}

/// The key that signed, and its session.
fn signer(head: &str) -> (String, Option<String>) {
    let value = header(head, "authorization").unwrap();
    let id = value.split_once("Credential=").unwrap().1.split('/').next().unwrap().to_owned();
    (id, header(head, "x-amz-security-token"))
}

/// Gives keys `ASIA1`, `ASIA2` and so on for 15 minutes from the test's beginning on, and refuses the role `gone`.
async fn sts() -> Small {
    let number = std::sync::Mutex::new(0);
    Small::start(move |request| {
        if request.contains("role%2Fgone") {
            let error = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>not you</Message></Error></ErrorResponse>";
            return Reply::Answer("403 Forbidden", error.into());
        }
        let mut number = number.lock().unwrap();
        *number += 1;
        let expiration = if *number == 1 { "2027-01-15T08:15:00Z" } else { "2027-01-15T09:15:00Z" };
        ok(format!(
            "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIA{number}</AccessKeyId>\
             <SecretAccessKey>s</SecretAccessKey><SessionToken>session{number}</SessionToken>\
             <Expiration>{expiration}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
        ))
    })
    .await
}

#[tokio::test]
async fn a_role_of_aws_is_taken_and_its_key_signs() {
    let (sts, sender) = (sts().await, Sender::start().await);
    set("AWS_ENDPOINT_URL_STS", format!("http://{}", sts.address));
    let role = sigv4(true, None, Some("arn:aws:iam::1:role/r"));
    for (seconds, want) in [(0, 1), (869, 1), (2, 2)] {
        sender.clock.advance(Duration::from_secs(seconds));
        let got = signer(&sender.head(role.clone()).await.unwrap());
        assert_eq!(got, (format!("ASIA{want}"), Some(format!("session{want}"))));
    }
    let asked = sts.seen();
    assert_eq!(asked.len(), 2);
    assert_eq!(signer(&asked[0]), ("AKID".into(), None));
    assert!(header(&asked[0], "authorization").unwrap().contains("/eu-west-1/sts/aws4_request"));
    let fields = form(&asked[0]);
    let want = [("Action", "AssumeRole"), ("Version", "2011-06-15"), ("RoleArn", "arn:aws:iam::1:role/r")];
    for (name, value) in want.into_iter().chain([("ExternalId", "e1"), ("RoleSessionName", "bellwether")]) {
        assert_eq!(fields[name], value);
    }
    let error = sender.error(sigv4(true, None, Some("arn:aws:iam::1:role/gone"))).await;
    let want = "cannot get a key of AWS: role arn:aws:iam::1:role/gone: server returned HTTP status 403: AccessDenied: not you";
    assert!(error.message().ends_with(want), "{error}");

    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "of kubernetes").unwrap();
    set("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap());
    set("AWS_ROLE_ARN", "arn:aws:iam::1:role/web");
    assert_eq!(signer(&sender.head(sigv4(false, None, None)).await.unwrap()).0, "ASIA3");
    let asked = sts.seen().pop().unwrap();
    assert_eq!(header(&asked, "authorization"), None);
    let fields = form(&asked);
    assert_eq!(fields["Action"], "AssumeRoleWithWebIdentity");
    assert_eq!(fields["WebIdentityToken"], "of kubernetes");

    let files = "[profile a]\nrole_arn = arn:aws:iam::1:role/of-profile\nsource_profile = b\n[profile b]\naws_access_key_id = FILE\naws_secret_access_key = hunter2\n";
    let config = folder.path().join("config");
    std::fs::write(&config, files).unwrap();
    set("AWS_CONFIG_FILE", config.to_str().unwrap());
    assert_eq!(signer(&sender.head(sigv4(false, Some("a"), None)).await.unwrap()).0, "ASIA4");
    let asked = sts.seen().pop().unwrap();
    assert_eq!(
        (signer(&asked).0.as_str(), form(&asked)["RoleArn"].as_str()),
        ("FILE", "arn:aws:iam::1:role/of-profile")
    );
    assert_eq!(signer(&sender.head(sigv4(false, Some("b"), None)).await.unwrap()).0, "FILE");
    std::fs::write(&config, files.replace("FILE", "NEW")).unwrap();
    assert_eq!(signer(&sender.head(sigv4(false, Some("b"), None)).await.unwrap()).0, "NEW", "read anew");
}

#[tokio::test]
async fn keys_of_aws_come_from_the_environment_containers_and_machines() {
    let sender = Sender::start().await;
    let key = |id: &str| {
        let json = json!({"AccessKeyId": id, "SecretAccessKey": "hunter2", "Token": "s",
            "Expiration": "2027-01-15T14:00:00Z"});
        ok(json.to_string())
    };
    let service = Small::start(move |request| match request.split(' ').nth(1).unwrap() {
        "/latest/api/token" => ok("session"),
        _ if request.starts_with("GET /latest/")
            && !request.contains("x-aws-ec2-metadata-token: session") =>
        {
            Reply::Answer("401 Unauthorized", String::new())
        }
        "/latest/meta-data/iam/security-credentials/" => ok("my-role\n"),
        "/latest/meta-data/iam/security-credentials/my-role" => key("MACHINE"),
        "/container" if header(request, "authorization").as_deref() == Some("hunter2") => key("CONTAINER"),
        _ => Reply::Answer("404 Not Found", String::new()),
    })
    .await;
    // Each has a configuration of its own, so that no key is kept from before.
    let with = |service: &str| match sigv4(false, None, None) {
        Authorization::SigV4(config) => {
            Authorization::SigV4(Box::new(SigV4Config { service: service.into(), ..*config }))
        }
        other => other,
    };
    set("AWS_EC2_METADATA_DISABLED", "true");
    let error = sender.error(with("a")).await;
    assert!(error.message().contains("there is no key in sigv4, in the environment"), "{error}");
    unset("AWS_EC2_METADATA_DISABLED");
    set("AWS_EC2_METADATA_SERVICE_ENDPOINT", format!("http://{}", service.address));
    let found = signer(&sender.head(with("b")).await.unwrap());
    assert_eq!(found, ("MACHINE".into(), Some("s".into())));
    assert!(service.seen()[0].starts_with("PUT /latest/api/token"));
    set("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("http://{}/container", service.address));
    set("AWS_CONTAINER_AUTHORIZATION_TOKEN", "hunter2");
    assert_eq!(signer(&sender.head(with("c")).await.unwrap()).0, "CONTAINER");
    set("AWS_ACCESS_KEY_ID", "ENVIRONMENT");
    set("AWS_SECRET_ACCESS_KEY", "hunter2");
    set("AWS_SESSION_TOKEN", "mine");
    let found = signer(&sender.head(with("d")).await.unwrap());
    assert_eq!(found, ("ENVIRONMENT".into(), Some("mine".into())));
    let asked = service.seen().len();
    sender.head(with("b")).await.unwrap();
    assert_eq!(service.seen().len(), asked, "it is kept");
}

#[tokio::test]
async fn a_client_signs_what_it_asks_a_token_with() {
    let (tokens, sender) = (tokens().await, Sender::start().await);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key.pem");
    std::fs::copy(fixture("key.pem"), &file).unwrap();
    let url = format!("http://{}/token", tokens.address);
    let grant = JwtGrant {
        key: Source::File(file.clone()),
        key_id: "k".into(),
        algorithm: JwtAlgorithm::Rs384,
        issuer: None,
        audience: None,
        claims: json!({"sub": "someone", "n": [1]}).as_object().unwrap().clone(),
    };
    let config = OAuth2Config {
        client_id: "me".into(),
        grant: Grant::Jwt(Box::new(grant)),
        scopes: vec!["a".into(), "b".into()],
        token_url: Secret::new(url.clone()),
        endpoint_params: vec![("extra".into(), Secret::new("x"))],
        tls: TlsConfig::default(),
        proxy: ProxyConfig::default(),
    };
    let authorization = Authorization::OAuth2(Box::new(config.clone()));
    assert_eq!(sender.bearer(&authorization).await, "Bearer t1");
    assert_eq!(sender.bearer(&authorization).await, "Bearer t1");
    let asked = tokens.seen();
    assert_eq!((asked.len(), header(&asked[0], "authorization")), (1, None));
    let fields = form(&asked[0]);
    assert_eq!(fields["grant_type"], "urn:ietf:params:oauth:grant-type:jwt-bearer");
    assert_eq!((fields["scope"].as_str(), fields["extra"].as_str()), ("a b", "x"));
    let (head, mut claims) = signed(&fields["assertion"]);
    assert_eq!(head, json!({"alg": "RS384", "typ": "JWT", "kid": "k"}));
    let now = NOW_MS / 1000;
    assert_eq!(claims["jti"].take().as_str().map(str::len), Some(32));
    let want = json!({"iss": "me", "sub": "someone", "aud": url, "jti": null, "iat": now, "exp": now + 600,
        "scope": "a b", "n": [1]});
    assert_eq!(claims, want);
    std::fs::write(&file, "hunter2").unwrap();
    let error = sender.error(authorization).await;
    assert!(error.message().ends_with("cannot sign with the key: it is no private key in PEM"), "{error}");
    let own = vec![("assertion".into(), Secret::new("hunter2"))];
    let twice = OAuth2Config { endpoint_params: own, ..config };
    std::fs::copy(fixture("key.pem"), &file).unwrap();
    let error = sender.error(Authorization::OAuth2(Box::new(twice))).await;
    assert!(
        error.message().ends_with("endpoint_params cannot overwrite the parameter \"assertion\""),
        "{error}"
    );
}

/// PyPI's `moto`, which others wrote, as a process on loopback; ends with this value.
struct Moto(std::process::Child, u16);

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Moto {
    async fn start(test: &str) -> Option<Self> {
        use std::process::{Command, Stdio};
        let python = std::env::var_os("BELLWETHER_PYTHON").unwrap_or_else(|| "python3".into());
        let quiet = |command: &mut Command| {
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        };
        let mut import = Command::new(&python);
        quiet(import.args(["-c", "import moto.server, flask"]));
        if !import.status().is_ok_and(|status| status.success()) {
            assert!(std::env::var_os("CI").is_none(), "{test} cannot run in CI: no Python has moto.server");
            println!("SKIPPED {test}: no Python has moto.server");
            return None;
        }
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let mut server = Command::new(&python);
        quiet(server.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()]));
        let moto = Self(server.spawn().unwrap(), port);
        for _ in 0..600 {
            if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return Some(moto);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("moto does not answer on port {port}");
    }
}

#[tokio::test]
async fn a_role_is_taken_at_a_service_that_others_wrote() {
    let Some(moto) = Moto::start("a_role_is_taken_at_a_service_that_others_wrote").await else { return };
    let sender = Sender::start().await;
    set("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", moto.1));
    let role = sigv4(true, None, Some("arn:aws:iam::123456789012:role/r"));
    let (id, session) = signer(&sender.head(role).await.unwrap());
    assert!(id.starts_with("ASIA") && session.is_some_and(|s| !s.is_empty()), "{id}");
}
