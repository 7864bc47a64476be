//! Conditions on a state: comparisons of its fields with JSON literals, checked against the state's type before anything is read.
//!
//! ```text
//! phase == "active" and (last_seen == null or not (attempts >= 3))
//! ```

use std::cmp::Ordering;
use std::fmt;

use purefold_wit::finding::nearest;
use purefold_wit::{Contract, Type, instant, uuid};
use serde_json::Value as Json;

/// Longest condition, in bytes.
const MOST_BYTES: usize = 16 << 10;

/// Parentheses and negations within one another.
const MOST_NESTED: usize = 64;

/// A condition on a state.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    root: Node,
}

/// Why a text is no condition on that state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConditionError {
    /// The character at which it is wrong, from 1.
    pub column: usize,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for ConditionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at character {} of the condition: {}", self.column, self.reason)
    }
}

impl std::error::Error for ConditionError {}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Or(Box<Node>, Box<Node>),
    And(Box<Node>, Box<Node>),
    Not(Box<Node>),
    Compare(Term, Operator, Term),
    Holds(Term),
}

#[derive(Clone, Debug, PartialEq)]
enum Term {
    /// A place in the state; the empty one is the state itself.
    Path(Vec<Step>),
    Literal(Json),
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Field(String),
    Index(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Condition {
    /// Reads a condition on states of the contract.
    ///
    /// # Errors
    /// Where it is none, names a field that there is not, or compares what cannot be compared.
    pub fn parse(text: &str, contract: &Contract) -> Result<Self, ConditionError> {
        let mut parser = Parser { text, at: 0, nested: 0, state: Type::Record(contract.state.clone()) };
        if text.len() > MOST_BYTES {
            return Err(parser.wrong(format!("it has more than {MOST_BYTES} bytes")));
        }
        let root = parser.or()?;
        parser.space();
        if parser.at < text.len() {
            return Err(parser.wrong("expected `and`, `or` or the end"));
        }
        Ok(Condition { root })
    }

    /// Whether it holds on a state as JSON; `null` where there is none. What the state does not have is null.
    #[must_use]
    pub fn holds(&self, state: &Json) -> bool {
        self.root.holds(state)
    }
}

impl Node {
    fn holds(&self, state: &Json) -> bool {
        match self {
            Node::Or(left, right) => left.holds(state) || right.holds(state),
            Node::And(left, right) => left.holds(state) && right.holds(state),
            Node::Not(inner) => !inner.holds(state),
            Node::Holds(term) => *term.value(state) == Json::Bool(true),
            Node::Compare(left, operator, right) => {
                let (left, right) = (left.value(state), right.value(state));
                match operator {
                    Operator::Equal => equal(left, right),
                    Operator::Unequal => !equal(left, right),
                    Operator::Less => order(left, right) == Some(Ordering::Less),
                    Operator::LessOrEqual => matches!(order(left, right), Some(Ordering::Less | Ordering::Equal)),
                    Operator::Greater => order(left, right) == Some(Ordering::Greater),
                    Operator::GreaterOrEqual => matches!(order(left, right), Some(Ordering::Greater | Ordering::Equal)),
                }
            }
        }
    }
}

impl Term {
    fn value<'v>(&'v self, state: &'v Json) -> &'v Json {
        match self {
            Term::Literal(value) => value,
            Term::Path(steps) => steps.iter().fold(state, |value, step| match step {
                Step::Field(name) => value.get(name).unwrap_or(&Json::Null),
                Step::Index(index) => value.get(index).unwrap_or(&Json::Null),
            }),
        }
    }
}

fn equal(left: &Json, right: &Json) -> bool {
    left == right || order(left, right) == Some(Ordering::Equal)
}

/// The order of two numbers or two texts; instants have the order of their texts. Nothing is before or after null.
fn order(left: &Json, right: &Json) -> Option<Ordering> {
    match (left, right) {
        (Json::String(left), Json::String(right)) => Some(left.cmp(right)),
        (Json::Number(left), Json::Number(right)) => {
            let whole = |number: &serde_json::Number| number.as_i128();
            match (whole(left), whole(right)) {
                (Some(left), Some(right)) => Some(left.cmp(&right)),
                _ => left.as_f64()?.partial_cmp(&right.as_f64()?),
            }
        }
        _ => None,
    }
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    nested: usize,
    state: Type,
}

impl Parser<'_> {
    fn wrong(&self, reason: impl Into<String>) -> ConditionError {
        self.wrong_at(self.at, reason)
    }

    fn wrong_at(&self, at: usize, reason: impl Into<String>) -> ConditionError {
        ConditionError { column: self.text[..at].chars().count() + 1, reason: reason.into() }
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    /// Takes `sign`, where it comes next.
    fn take(&mut self, sign: &str) -> bool {
        self.space();
        let is_word = sign.chars().all(char::is_alphabetic);
        let rest = self.rest();
        let comes = rest.strip_prefix(sign).is_some_and(|rest| !is_word || !rest.starts_with(in_name));
        if comes {
            self.at += sign.len();
        }
        comes
    }

    fn or(&mut self) -> Result<Node, ConditionError> {
        let mut left = self.and()?;
        while self.take("or") || self.take("||") {
            left = Node::Or(Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Node, ConditionError> {
        let mut left = self.not()?;
        while self.take("and") || self.take("&&") {
            left = Node::And(Box::new(left), Box::new(self.not()?));
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Node, ConditionError> {
        self.nested += 1;
        if self.nested > MOST_NESTED {
            return Err(self.wrong(format!("more than {MOST_NESTED} parentheses and negations within one another")));
        }
        let node = if self.take("not") || (!self.rest().starts_with("!=") && self.take("!")) {
            Node::Not(Box::new(self.not()?))
        } else if self.take("(") {
            let inner = self.or()?;
            if !self.take(")") {
                return Err(self.wrong("expected `)`"));
            }
            inner
        } else {
            self.comparison()?
        };
        self.nested -= 1;
        Ok(node)
    }

    fn comparison(&mut self) -> Result<Node, ConditionError> {
        self.space();
        let begins = self.at;
        let (left, left_type) = self.term()?;
        let Some(operator) = self.operator() else {
            if left_type.as_ref().map(inner) == Some(&Type::Bool) {
                return Ok(Node::Holds(left));
            }
            return Err(self.wrong("expected a comparison: `==`, `!=`, `<`, `<=`, `>` or `>=`"));
        };
        self.space();
        let second = self.at;
        let (right, right_type) = self.term()?;
        let (left, right) = match (left_type, right_type) {
            (Some(ty), None) => (left, self.fit(&ty, right, operator, second)?),
            (None, Some(ty)) => (self.fit(&ty, left, operator, begins)?, right),
            (Some(left_type), Some(right_type)) if inner(&left_type) == inner(&right_type) => (left, right),
            (Some(left_type), Some(right_type)) => {
                let reason = format!("{} cannot be compared with {}", name_of(&left_type), name_of(&right_type));
                return Err(self.wrong_at(begins, reason));
            }
            (None, None) => return Err(self.wrong_at(begins, "one side of a comparison must be a field of the state")),
        };
        Ok(Node::Compare(left, operator, right))
    }

    fn operator(&mut self) -> Option<Operator> {
        // The longer ones first.
        let operators = [
            ("==", Operator::Equal),
            ("!=", Operator::Unequal),
            ("<=", Operator::LessOrEqual),
            (">=", Operator::GreaterOrEqual),
            ("<", Operator::Less),
            (">", Operator::Greater),
        ];
        operators.into_iter().find_map(|(sign, operator)| self.take(sign).then_some(operator))
    }

    /// A term with the type of the field that it names; none of a literal.
    fn term(&mut self) -> Result<(Term, Option<Type>), ConditionError> {
        self.space();
        let begins_name = self.rest().starts_with(|character: char| character.is_ascii_alphabetic());
        let is_literal = ["true", "false", "null"]
            .iter()
            .any(|word| self.rest().strip_prefix(word).is_some_and(|rest| !rest.starts_with(in_name) && !rest.starts_with(['.', '['])));
        if begins_name && !is_literal {
            return self.path().map(|(path, ty)| (path, Some(ty)));
        }
        let mut values = serde_json::Deserializer::from_str(self.rest()).into_iter::<Json>();
        match values.next() {
            Some(Ok(value)) => {
                let read = values.byte_offset();
                self.at += read;
                Ok((Term::Literal(value), None))
            }
            _ => Err(self.wrong("expected a field of the state or a JSON literal")),
        }
    }

    fn path(&mut self) -> Result<(Term, Type), ConditionError> {
        let mut ty = self.state.clone();
        let mut steps = Vec::new();
        let begins = self.at;
        let first = self.name();
        let has_field =
            |name: &str| matches!(&self.state, Type::Record(record) if record.fields.iter().any(|field| field.name.snake() == name));
        if first != "state" || has_field("state") {
            ty = self.field(&ty, &first, begins)?;
            steps.push(Step::Field(first));
        }
        loop {
            if self.rest().starts_with('.') {
                self.at += 1;
                let begins = self.at;
                let name = self.name();
                ty = self.field(&ty, &name, begins)?;
                steps.push(Step::Field(name));
            } else if self.rest().starts_with('[') {
                let begins = self.at;
                let (step, inner) = self.index(&ty, begins)?;
                ty = inner;
                steps.push(step);
            } else {
                return Ok((Term::Path(steps), ty));
            }
        }
    }

    fn name(&mut self) -> String {
        let rest = self.rest();
        let end = rest.find(|character| !in_name(character)).unwrap_or(rest.len());
        let name = rest[..end].replace('-', "_");
        self.at += end;
        name
    }

    fn field(&self, ty: &Type, name: &str, at: usize) -> Result<Type, ConditionError> {
        let (known, found): (Vec<&str>, Option<Type>) = match inner(ty) {
            Type::Record(record) => {
                let found = record.fields.iter().find(|field| field.name.snake() == name);
                (record.fields.iter().map(|field| field.name.snake()).collect(), found.map(|field| field.ty.clone()))
            }
            Type::Variant(variant) => {
                let cases = || variant.cases.iter().filter(|case| case.payload.is_some());
                let found = cases().find(|case| case.name.snake() == name).and_then(|case| case.payload.clone());
                (cases().map(|case| case.name.snake()).collect(), found)
            }
            other => return Err(self.wrong_at(at, format!("{} {} has no fields", article(&name_of(other)), name_of(other)))),
        };
        found.ok_or_else(|| {
            let near = nearest(name, known.iter().copied());
            let near = near.map_or_else(|| format!("it has {}", known.join(", ")), |near| format!("did you mean `{near}`?"));
            self.wrong_at(at, format!("there is no field `{name}`; {near}"))
        })
    }

    fn index(&mut self, ty: &Type, at: usize) -> Result<(Step, Type), ConditionError> {
        self.at += 1;
        let mut values = serde_json::Deserializer::from_str(self.rest()).into_iter::<Json>();
        let Some(Ok(value)) = values.next() else { return Err(self.wrong("expected a number or a key")) };
        let read = values.byte_offset();
        self.at += read;
        if !self.take("]") {
            return Err(self.wrong("expected `]`"));
        }
        match (inner(ty), value) {
            (Type::List(element), Json::Number(index)) => {
                let index = index.as_u64().and_then(|index| usize::try_from(index).ok());
                index
                    .map(|index| (Step::Index(index), (**element).clone()))
                    .ok_or_else(|| self.wrong_at(at, "an index is a whole number from 0"))
            }
            (Type::Map(value), Json::String(key)) => Ok((Step::Field(key), (**value).clone())),
            (other, _) => Err(self.wrong_at(at, format!("a {} has no such element", name_of(other)))),
        }
    }

    /// The literal in the form that the type's values have.
    fn fit(&self, ty: &Type, term: Term, operator: Operator, at: usize) -> Result<Term, ConditionError> {
        let Term::Literal(literal) = term else { return Ok(term) };
        let is_order = !matches!(operator, Operator::Equal | Operator::Unequal);
        let wrong = |expected: &str| Err(self.wrong_at(at, format!("expected {expected}, found {literal}")));
        if literal.is_null() {
            // Whatever is asked for may be missing: the state itself, or a case that is another one.
            return if is_order { wrong("something that has an order") } else { Ok(Term::Literal(literal)) };
        }
        let fitted = match (inner(ty), &literal) {
            (Type::Bool, Json::Bool(_)) if !is_order => literal,
            (Type::U8 | Type::U16 | Type::U32 | Type::U64 | Type::S8 | Type::S16 | Type::S32 | Type::S64, Json::Number(_))
            | (Type::F32 | Type::F64, Json::Number(_))
            | (Type::String | Type::Char, Json::String(_)) => literal,
            (Type::Instant, Json::String(text)) => match instant::parse(text).ok().and_then(instant::format) {
                Some(canonical) => Json::String(canonical),
                None => return wrong("an RFC 3339 time"),
            },
            (Type::Uuid, Json::String(text)) if !is_order => match uuid::parse(text) {
                Some((high, low)) => Json::String(uuid::format(high, low)),
                None => return wrong("a UUID"),
            },
            (Type::Enum(cases), Json::String(text)) if !is_order => {
                let name = text.replace('-', "_");
                if !cases.cases.iter().any(|case| case.snake() == name) {
                    let near = nearest(&name, cases.cases.iter().map(purefold_wit::Name::snake));
                    let near = near.map(|near| format!("; did you mean \"{near}\"?")).unwrap_or_default();
                    return Err(self.wrong_at(at, format!("enum {} has no case {literal}{near}", cases.name.kebab())));
                }
                Json::String(name)
            }
            (Type::Variant(variant), Json::String(text)) if !is_order => {
                let name = text.replace('-', "_");
                if !variant.cases.iter().any(|case| case.name.snake() == name) {
                    return Err(self.wrong_at(at, format!("variant {} has no case {literal}", variant.name.kebab())));
                }
                Json::String(name)
            }
            (Type::Record(_) | Type::Map(_) | Type::Variant(_) | Type::Result(_), Json::Object(_))
            | (Type::List(_) | Type::Tuple(_) | Type::Flags(_), Json::Array(_))
                if !is_order =>
            {
                literal
            }
            (other, _) => {
                let reason = format!("{} {} cannot be compared so with {literal}", article(&name_of(other)), name_of(other));
                return Err(self.wrong_at(at, reason));
            }
        };
        Ok(Term::Literal(fitted))
    }
}

fn inner(ty: &Type) -> &Type {
    match ty {
        Type::Option(inner) => inner,
        ty => ty,
    }
}

fn article(name: &str) -> &'static str {
    if name.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}

fn in_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_' || character == '-'
}

fn name_of(ty: &Type) -> String {
    match inner(ty) {
        Type::Record(record) => format!("record {}", record.name.kebab()),
        Type::Variant(variant) => format!("variant {}", variant.name.kebab()),
        Type::Enum(cases) => format!("enum {}", cases.name.kebab()),
        Type::Flags(flags) => format!("set of flags {}", flags.name.kebab()),
        Type::List(_) => "list".to_owned(),
        Type::Map(_) => "map".to_owned(),
        Type::Tuple(_) => "tuple".to_owned(),
        Type::Result(_) => "result".to_owned(),
        Type::Bool => "bool".to_owned(),
        Type::String | Type::Char => "text".to_owned(),
        Type::Instant => "time".to_owned(),
        Type::Uuid => "UUID".to_owned(),
        _ => "number".to_owned(),
    }
}
