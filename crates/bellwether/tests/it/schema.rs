//! As much of JSON Schema as Prometheus' description of its API uses. A keyword that is not known here fails the test.

use serde_json::Value;

/// What of a document a value violates.
pub(crate) struct Schemas(Value);

/// Keywords that say nothing about whether a value is right.
const NOTES: [&str; 5] = ["description", "example", "default", "format", "title"];

impl Schemas {
    pub(crate) fn read(text: &str) -> Self {
        Self(serde_yaml_ng::from_str(text).expect("the description is YAML"))
    }

    /// The paths that can be got, and those that can be posted.
    pub(crate) fn paths(&self) -> Vec<(String, Vec<String>)> {
        let methods = |of: &Value| {
            let all = of.as_object().expect("methods").keys();
            all.filter(|m| ["get", "head", "post", "put", "delete"].contains(&m.as_str())).cloned().collect()
        };
        let paths = self.0["paths"].as_object().expect("paths");
        paths.iter().map(|(path, of)| (path.clone(), methods(of))).collect()
    }

    /// What the address of a path begins with, after the host.
    pub(crate) fn server(&self, path: &str) -> &str {
        let urls = [&self.0["paths"][path], &self.0].map(|at| at["servers"][0]["url"].as_str());
        urls.into_iter().flatten().next().expect("a server").trim_end_matches('/')
    }

    /// References that lead nowhere.
    pub(crate) fn dangling(&self) -> Vec<&str> {
        let (mut todo, mut found) = (vec![&self.0], Vec::new());
        while let Some(value) = todo.pop() {
            match value {
                Value::Object(of) => {
                    let reference = of.get("$ref").and_then(Value::as_str);
                    found.extend(reference.filter(|r| self.0.pointer(r.trim_start_matches('#')).is_none()));
                    todo.extend(of.values());
                }
                Value::Array(of) => todo.extend(of),
                _ => {}
            }
        }
        found
    }

    /// The schema of a successful answer, if it is JSON.
    pub(crate) fn success(&self, path: &str, method: &str) -> Option<&Value> {
        let schema =
            &self.0["paths"][path][method]["responses"]["200"]["content"]["application/json"]["schema"];
        (!schema.is_null()).then_some(schema)
    }

    /// The schema of an error.
    pub(crate) fn error(&self) -> &Value {
        &self.0["components"]["schemas"]["Error"]
    }

    /// Where a value is not as a schema says; empty if it is.
    pub(crate) fn violations(&self, schema: &Value, value: &Value) -> Vec<String> {
        let mut found = Vec::new();
        self.check(schema, value, "$", &mut found);
        found
    }

    fn fits(&self, schema: &Value, value: &Value) -> bool {
        self.violations(schema, value).is_empty()
    }

    fn check(&self, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
        let mut fail = |what: String| found.push(format!("{at}: {what}"));
        for (keyword, argument) in schema.as_object().expect("a schema is an object") {
            match keyword.as_str() {
                "$ref" => {
                    let path =
                        argument.as_str().and_then(|r| r.strip_prefix('#')).expect("a local reference");
                    let target = self.0.pointer(path).unwrap_or_else(|| panic!("{path} is not there"));
                    let mut inner = Vec::new();
                    self.check(target, value, at, &mut inner);
                    inner.into_iter().for_each(|text| found.push(text));
                    return;
                }
                "type" if !is_of(argument, value) => fail(format!("{value} is not of type {argument}")),
                "enum" if !argument.as_array().expect("a list").contains(value) => {
                    fail(format!("{value} is none of {argument}"));
                }
                "required" => {
                    let missing = argument.as_array().expect("a list").iter().filter_map(Value::as_str);
                    missing
                        .filter(|name| value.is_object() && value.get(name).is_none())
                        .for_each(|name| fail(format!("{name} is missing")));
                }
                "minItems" | "maxItems" => {
                    let items = value.as_array().map_or(0, Vec::len) as u64;
                    let bound = argument.as_u64().expect("a number");
                    if value.is_array() && (if keyword == "minItems" { items < bound } else { items > bound })
                    {
                        fail(format!("it has {items} items, {keyword} is {bound}"));
                    }
                }
                "minimum" if value.as_f64() < argument.as_f64() && value.is_number() => {
                    fail(format!("{value} is below {argument}"));
                }
                "oneOf" | "anyOf" => {
                    let all = argument.as_array().expect("a list");
                    if !all.iter().any(|s| self.fits(s, value)) {
                        let why: Vec<_> = all.iter().map(|s| self.violations(s, value)).collect();
                        fail(format!("no alternative fits: {why:?}"));
                    }
                }
                "type" | "enum" | "minimum" | "properties" | "additionalProperties" | "items" => {}
                note if NOTES.contains(&note) => {}
                other => panic!("{at}: the keyword {other} is not known here"),
            }
        }
        self.check_parts(schema, value, at, found);
    }

    fn check_parts(&self, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
        if let (Some(items), Some(list)) = (schema.get("items"), value.as_array()) {
            for (i, item) in list.iter().enumerate() {
                self.check(items, item, &format!("{at}[{i}]"), found);
            }
        }
        let Some(object) = value.as_object() else { return };
        for (name, part) in object {
            let at = format!("{at}.{name}");
            match (&schema["properties"][name], schema.get("additionalProperties")) {
                (Value::Null, Some(Value::Bool(false))) => found.push(format!("{at}: it is not known")),
                (Value::Null, Some(others @ Value::Object(_))) => self.check(others, part, &at, found),
                (Value::Null, _) => {}
                (known, _) => self.check(known, part, &at, found),
            }
        }
    }
}

fn is_of(types: &Value, value: &Value) -> bool {
    let is = |name: &str| match name {
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        other => panic!("the type {other} is not known here"),
    };
    match types {
        Value::Array(any) => any.iter().filter_map(Value::as_str).any(is),
        one => is(one.as_str().expect("a type is text")),
    }
}

#[test]
fn the_validator_finds_what_is_wrong() {
    let schemas = Schemas::read(
        "components: {schemas: {A: {type: object, properties: {n: {type: integer, minimum: 1}, l: {type: array, \
         items: {type: string}, maxItems: 2}}, required: [n], additionalProperties: false}}}",
    );
    let schema = serde_json::json!({"$ref": "#/components/schemas/A"});
    let check = |value: Value, want: &[&str]| {
        assert_eq!(schemas.violations(&schema, &value), want, "{value}");
    };
    check(serde_json::json!({"n": 1, "l": ["a"]}), &[]);
    check(serde_json::json!({"n": 0}), &["$.n: 0 is below 1"]);
    check(serde_json::json!({"n": "x"}), &["$.n: \"x\" is not of type \"integer\""]);
    check(serde_json::json!({"l": [1]}), &["$: n is missing", "$.l[0]: 1 is not of type \"string\""]);
    check(serde_json::json!({"n": 1, "m": 1}), &["$.m: it is not known"]);
    check(serde_json::json!({"n": 1, "l": ["a", "b", "c"]}), &["$.l: it has 3 items, maxItems is 2"]);
    check(serde_json::json!([]), &["$: [] is not of type \"object\""]);
}
