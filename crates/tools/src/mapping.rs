//! JMESPath: reshaping JSON by an expression of the operator's.

use std::fmt;

use serde_json::Value;

/// A JMESPath expression (jmespath.org), compiled.
#[derive(Clone)]
pub struct Mapping(jmespath::Expression<'static>);

impl Mapping {
    /// Compiles `expression`.
    ///
    /// # Errors
    /// Where it is not JMESPath: what is wrong, on one line.
    pub fn parse(expression: &str) -> Result<Self, String> {
        jmespath::compile(expression).map(Self).map_err(|error| one_line(&error))
    }

    /// What the expression finds in `value`; null where it finds nothing.
    ///
    /// # Errors
    /// Where a function does not exist or is given what it does not take.
    pub fn apply(&self, value: &Value) -> Result<Value, String> {
        let found = self.0.search(value).map_err(|error| one_line(&error))?;
        serde_json::to_value(&*found).map_err(|error| error.to_string())
    }
}

/// The library's message without its drawing of the expression.
fn one_line(error: &jmespath::JmespathError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

impl fmt::Debug for Mapping {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Mapping").field(&self.0.as_str()).finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn expressions_reshape() {
        let mapping = Mapping::parse("data.{id: id, names: people[].name, n: length(people)}");
        let value = json!({"data": {"id": 7, "people": [{"name": "a"}, {"name": "b"}]}});
        assert_eq!(
            mapping.unwrap().apply(&value).unwrap(),
            json!({"id": 7, "names": ["a", "b"], "n": 2})
        );
        assert_eq!(Mapping::parse("missing.x").unwrap().apply(&value).unwrap(), Value::Null);
    }

    #[test]
    fn faults_are_one_line() {
        let error = Mapping::parse("a..b").unwrap_err();
        assert!(error.starts_with("Parse error") && !error.contains('\n'), "{error}");
        let error = Mapping::parse("nothing(a)").unwrap().apply(&json!({})).unwrap_err();
        assert!(error.contains("undefined function") && !error.contains('\n'), "{error}");
    }
}
