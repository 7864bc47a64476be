//! Values from types: what is likely, what lies at the edges, and what was seen before.

use purefold_wit::{Type, Value, instant};
use rand::RngExt;
use rand::rngs::StdRng;

/// Values of each kind that are remembered.
const POOL_MOST: usize = 64;

/// Elements of a list, usually.
const ELEMENTS: usize = 3;

/// Elements of a long list.
const ELEMENTS_MOST: usize = 300;

/// Characters of a long text.
const CHARACTERS_MOST: usize = 4_000;

/// Values of one decision's input or state; past them everything is as small as its type allows.
const VALUES_MOST: usize = 20_000;

/// Texts that lie at edges, or look like something else.
const TEXTS: [&str; 18] = [
    "",
    " ",
    "a",
    "0",
    "-1",
    "null",
    "timer",
    "a-1",
    "1.2.3",
    "2026-02-13T12:00:00Z",
    "22dd9b63-a548-452f-90eb-f862e67ca50e",
    "http://10.0.0.1:8080/health",
    "https://[::1]:65536/",
    "a\u{0}b",
    "\u{feff}\u{202e}abc",
    "e\u{301}\u{1f469}\u{200d}\u{1f680}",
    "\u{10ffff}",
    "../../etc/passwd",
];

const FLOATS: [f64; 14] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.1,
    1e-308,
    5e-324,
    1.797_693_134_862_315_7e308,
    9_007_199_254_740_993.0,
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::EPSILON,
    -273.15,
];

/// Makes values.
pub struct Generator {
    rng: StdRng,
    uuids: Vec<(u64, u64)>,
    texts: Vec<Box<str>>,
    instants: Vec<u64>,
    numbers: Vec<u64>,
    left: usize,
}

impl Generator {
    /// A generator that has seen nothing.
    #[must_use]
    pub fn new(rng: StdRng) -> Self {
        Generator { rng, uuids: Vec::new(), texts: Vec::new(), instants: Vec::new(), numbers: Vec::new(), left: 0 }
    }

    pub(super) fn rng(&mut self) -> &mut StdRng {
        &mut self.rng
    }

    /// Forgets what it has seen.
    pub fn forget(&mut self) {
        self.uuids.clear();
        self.texts.clear();
        self.instants.clear();
        self.numbers.clear();
    }

    /// A value of that type which has a JSON form.
    pub fn value(&mut self, ty: &Type) -> Value {
        self.left = VALUES_MOST;
        self.make(ty)
    }

    /// The smallest value of that type: zero, nothing, the first case.
    #[must_use]
    pub fn least(ty: &Type) -> Value {
        match ty {
            Type::Bool => Value::Bool(false),
            Type::U8 => Value::U8(0),
            Type::U16 => Value::U16(0),
            Type::U32 => Value::U32(0),
            Type::U64 => Value::U64(0),
            Type::S8 => Value::S8(0),
            Type::S16 => Value::S16(0),
            Type::S32 => Value::S32(0),
            Type::S64 => Value::S64(0),
            Type::F32 => Value::F32(0.0),
            Type::F64 => Value::F64(0.0),
            Type::Char => Value::Char('a'),
            Type::String => Value::String("".into()),
            Type::Instant => Value::Instant(0),
            Type::Uuid => Value::Uuid(0, 0),
            Type::Record(record) => Value::Record(record.fields.iter().map(|field| Generator::least(&field.ty)).collect()),
            Type::Variant(variant) => {
                let payload = variant.cases.first().and_then(|case| case.payload.as_ref());
                Value::Variant(0, payload.map(|ty| Box::new(Generator::least(ty))))
            }
            Type::Enum(_) => Value::Enum(0),
            Type::Flags(_) => Value::Flags(Box::default()),
            Type::Option(_) => Value::Option(None),
            Type::Result(result) => Value::Result(Ok(result.ok.as_ref().map(|ty| Box::new(Generator::least(ty))))),
            Type::List(_) => Value::List(Vec::new()),
            Type::Tuple(places) => Value::Tuple(places.iter().map(Generator::least).collect()),
            Type::Map(_) => Value::Map(Vec::new()),
        }
    }

    fn one_in(&mut self, of: u32) -> bool {
        self.rng.random_ratio(1, of)
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        (!from.is_empty()).then(|| from[self.rng.random_range(0..from.len())].clone())
    }

    fn make(&mut self, ty: &Type) -> Value {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            return Generator::least(ty);
        }
        match ty {
            Type::Bool => Value::Bool(self.rng.random()),
            Type::U8 => Value::U8(self.number() as u8),
            Type::U16 => Value::U16(self.number() as u16),
            Type::U32 => Value::U32(self.number() as u32),
            Type::U64 => Value::U64(self.number()),
            Type::S8 => Value::S8(self.number() as i8),
            Type::S16 => Value::S16(self.number() as i16),
            Type::S32 => Value::S32(self.number() as i32),
            Type::S64 => Value::S64(self.number() as i64),
            Type::F32 => Value::F32(self.float() as f32),
            Type::F64 => Value::F64(self.float()),
            Type::Char => Value::Char(self.character()),
            Type::String => Value::String(self.text()),
            Type::Instant => Value::Instant(self.instant()),
            Type::Uuid => {
                let (high, low) = self.uuid();
                Value::Uuid(high, low)
            }
            Type::Record(record) => Value::Record(record.fields.iter().map(|field| self.make(&field.ty)).collect()),
            Type::Variant(variant) => {
                let case = self.rng.random_range(0..variant.cases.len());
                let payload = variant.cases[case].payload.as_ref().map(|ty| Box::new(self.make(ty)));
                Value::Variant(case as u32, payload)
            }
            Type::Enum(cases) => Value::Enum(self.rng.random_range(0..cases.cases.len()) as u32),
            Type::Flags(flags) => Value::Flags((0..flags.flags.len() as u32).filter(|_| self.rng.random()).collect()),
            Type::Option(some) => {
                let there = !self.one_in(3);
                Value::Option(there.then(|| Box::new(self.make(some))))
            }
            Type::Result(result) => {
                let is_ok = !self.one_in(3);
                let side = if is_ok { &result.ok } else { &result.err };
                let payload = side.as_ref().map(|ty| Box::new(self.make(ty)));
                Value::Result(if is_ok { Ok(payload) } else { Err(payload) })
            }
            Type::List(element) => {
                let length = self.length();
                Value::List((0..length).map(|_| self.make(element)).collect())
            }
            Type::Tuple(places) => Value::Tuple(places.iter().map(|ty| self.make(ty)).collect()),
            Type::Map(element) => {
                let mut entries: Vec<(Box<str>, Value)> = Vec::new();
                for _ in 0..self.length() {
                    let key = self.text();
                    if !entries.iter().any(|(known, _)| *known == key) {
                        entries.push((key, self.make(element)));
                    }
                }
                Value::Map(entries)
            }
        }
    }

    fn length(&mut self) -> usize {
        let most = if self.one_in(60) { ELEMENTS_MOST } else { ELEMENTS };
        self.rng.random_range(0..=most)
    }

    /// Cut to the type's width afterwards: extremes of one width are those of the narrower ones.
    fn number(&mut self) -> u64 {
        const EDGES: [u64; 14] =
            [0, 1, 2, 7, 127, 128, 255, 256, 65_535, 2_147_483_647, 2_147_483_648, 4_294_967_295, i64::MAX as u64, u64::MAX];
        let known = self.numbers.clone();
        match self.rng.random_range(0..10) {
            0..2 => self.pick(&known).unwrap_or(3),
            2..5 => self.pick(&EDGES).unwrap_or_default(),
            5..9 => self.rng.random_range(0..20),
            _ => self.rng.random(),
        }
    }

    fn float(&mut self) -> f64 {
        if self.one_in(3) { self.pick(&FLOATS).unwrap_or_default() } else { f64::from(self.rng.random_range(-1_000..10_000)) / 8.0 }
    }

    fn character(&mut self) -> char {
        const EDGES: [char; 7] = ['a', 'Z', '0', '\u{0}', '\u{7f}', '\u{d7ff}', '\u{10ffff}'];
        if self.one_in(2) { self.pick(&EDGES).unwrap_or('a') } else { self.rng.random() }
    }

    fn text(&mut self) -> Box<str> {
        let known = self.texts.clone();
        match self.rng.random_range(0..20) {
            0..8 => self.pick(&known).unwrap_or_else(|| "x".into()),
            8..16 => self.pick(&TEXTS).unwrap_or_default().into(),
            16..19 => (0..self.rng.random_range(0..12)).map(|_| self.rng.random_range('a'..='z')).collect::<String>().into(),
            _ => {
                let (character, length) = (self.character(), self.rng.random_range(0..CHARACTERS_MOST));
                std::iter::repeat_n(character, length).collect::<String>().into()
            }
        }
    }

    fn instant(&mut self) -> u64 {
        const EDGES: [u64; 5] = [0, 1, 946_684_800_000_000, instant::LAST - 1, instant::LAST];
        let known = self.instants.clone();
        match self.rng.random_range(0..10) {
            0..7 => {
                let near = self.pick(&known).unwrap_or(super::BEGIN);
                let by = self.rng.random_range(0..3) * self.pick(&[1, 1_000_000, 60_000_000]).unwrap_or(1);
                if self.rng.random() { near.saturating_add(by).min(instant::LAST) } else { near.saturating_sub(by) }
            }
            7..9 => self.pick(&EDGES).unwrap_or_default(),
            _ => self.rng.random_range(0..=instant::LAST),
        }
    }

    fn uuid(&mut self) -> (u64, u64) {
        let known = self.uuids.clone();
        match self.rng.random_range(0..10) {
            0..7 if !known.is_empty() => self.pick(&known).unwrap_or_default(),
            9 => self.pick(&[(0, 0), (u64::MAX, u64::MAX)]).unwrap_or_default(),
            _ => (self.rng.random(), self.rng.random()),
        }
    }

    /// Remembers a moment.
    pub(super) fn learn_instant(&mut self, moment: u64) {
        remember(&mut self.instants, moment);
    }

    /// Remembers what is in a value, to use it again: outcomes echo what was asked for, events name what is there.
    pub fn learn(&mut self, ty: &Type, value: &Value) {
        match (ty, value) {
            (_, Value::Uuid(high, low)) => remember(&mut self.uuids, (*high, *low)),
            (_, Value::String(text)) if text.len() <= TEXTS[10].len() * 2 => remember(&mut self.texts, text.clone()),
            (_, Value::Instant(moment)) => remember(&mut self.instants, *moment),
            (_, Value::U64(number)) => remember(&mut self.numbers, *number),
            (_, Value::U32(number)) => remember(&mut self.numbers, u64::from(*number)),
            (Type::Record(record), Value::Record(fields)) => {
                for (field, value) in record.fields.iter().zip(fields) {
                    self.learn(&field.ty, value);
                }
            }
            (Type::Variant(variant), Value::Variant(case, Some(payload))) => {
                if let Some(ty) = variant.cases.get(*case as usize).and_then(|case| case.payload.as_ref()) {
                    self.learn(ty, payload);
                }
            }
            (Type::Option(some), Value::Option(Some(value))) => self.learn(some, value),
            (Type::Result(result), Value::Result(Ok(Some(value)))) => {
                if let Some(ty) = &result.ok {
                    self.learn(ty, value);
                }
            }
            (Type::List(element), Value::List(values)) => values.iter().take(ELEMENTS).for_each(|value| self.learn(element, value)),
            (Type::Tuple(places), Value::Tuple(values)) => places.iter().zip(values).for_each(|(ty, value)| self.learn(ty, value)),
            (Type::Map(element), Value::Map(entries)) => {
                for (key, value) in entries.iter().take(ELEMENTS) {
                    remember(&mut self.texts, key.clone());
                    self.learn(element, value);
                }
            }
            _ => {}
        }
    }
}

fn remember<T: PartialEq>(pool: &mut Vec<T>, value: T) {
    if pool.contains(&value) {
        return;
    }
    if pool.len() == POOL_MOST {
        pool.remove(0);
    }
    pool.push(value);
}
