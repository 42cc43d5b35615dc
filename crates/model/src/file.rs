//! The model file.
//!
//! ```text
//! "oncely-model 1\n"          what it is and the version of the format
//! 32 bytes                    BLAKE3 of all that follows
//! length, header              JSON: name, schema, recipe, learner, labels, how trained, metrics
//! for each feature expression in the order of the recipe's outputs:
//!   number                    mean, scale
//!   quantile_bin              edges
//!   category                  values, the empty one (missing) first
//!   words and combinations    edges of each quantile_bin inside, then values
//! count, weights              feature after feature, one for each output; the biases last
//! ```
//!
//! Numbers are 64-bit little-endian; a text has its length in bytes before it, a list its count. A
//! file is read only when the checksum matches, and even then no length in it is believed before it
//! has been compared with what is left of the file.

use serde::{Deserialize, Serialize};

use crate::bytes::{Reader, Writer};
use crate::error::ModelError;
use crate::features::Features;
use crate::model::{Metrics, Model, Trained};
use crate::recipe::Recipe;
use crate::schema::Schema;
use crate::train::{Learner, Truth};

const MAGIC: &[u8] = b"oncely-model ";
/// Format that this program writes and reads.
const VERSION: u32 = 1;
const HASH: usize = 32;

#[derive(Serialize, Deserialize)]
struct Header {
    name: String,
    schema: String,
    recipe: String,
    learner: Learner,
    labels: Vec<String>,
    trained: Trained,
    metrics: Option<Metrics>,
}

impl Model {
    /// The model as a file. The same model gives the same bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let body = self.body();
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(format!("{VERSION}\n").as_bytes());
        bytes.extend_from_slice(blake3::hash(&body).as_bytes());
        bytes.extend_from_slice(&body);
        bytes
    }

    /// The BLAKE3 hash of the content, in hexadecimal.
    pub fn checksum(&self) -> String {
        blake3::hash(&self.body()).to_hex().to_string()
    }

    /// Reads a model file. One that is damaged anywhere is refused.
    pub fn from_bytes(bytes: &[u8]) -> Result<Model, ModelError> {
        let (hash, body) = sealed(bytes)?;
        if blake3::hash(body) != blake3::Hash::from_bytes(hash) {
            return Err(ModelError::damaged(
                "its checksum does not match its content",
            ));
        }
        read_body(body)
    }

    fn body(&self) -> Vec<u8> {
        let core = &self.core;
        let header = Header {
            name: core.name.clone(),
            schema: core.schema.to_json(),
            recipe: core.recipe.to_json(),
            learner: core.truth.learner,
            labels: core.truth.labels.clone(),
            trained: core.trained,
            metrics: self.metrics.clone(),
        };
        let mut out = Writer::default();
        out.text(&serde_json::to_string(&header).unwrap_or_default());
        core.features.write(&mut out);
        out.floats(&core.weights);
        out.0
    }
}

/// The checksum and what it is of.
fn sealed(bytes: &[u8]) -> Result<([u8; HASH], &[u8]), ModelError> {
    let rest = bytes.strip_prefix(MAGIC);
    let rest =
        rest.ok_or_else(|| ModelError::damaged("it does not begin with \"oncely-model\""))?;
    let end = rest.iter().take(11).position(|byte| *byte == b'\n');
    let line = end.and_then(|end| std::str::from_utf8(&rest[..end]).ok());
    let version = line.filter(|line| line.bytes().all(|byte| byte.is_ascii_digit()));
    match (version.and_then(|version| version.parse::<u32>().ok()), end) {
        (Some(VERSION), Some(end)) => rest[end + 1..]
            .split_first_chunk::<HASH>()
            .map(|(hash, body)| (*hash, body))
            .ok_or_else(|| ModelError::damaged("it ends too early")),
        (Some(found), _) => Err(ModelError::Version {
            found,
            known: VERSION,
        }),
        (None, _) => Err(ModelError::damaged("its first line names no version")),
    }
}

fn read_body(body: &[u8]) -> Result<Model, ModelError> {
    let mut from = Reader(body);
    let header: Header = serde_json::from_str(from.text()?)
        .map_err(|error| ModelError::damaged(format!("its header cannot be read ({error})")))?;
    let schema = Schema::from_json(&header.schema)?;
    let recipe = Recipe::from_json(&header.recipe, &schema)?;
    let features = Features::read(&recipe, &mut from)?;
    let weights = from.floats()?;
    from.end()?;
    let truth = Truth::new(header.learner, header.labels);
    check(&schema, &features, &truth, &weights)?;
    let mut model = Model::new(
        &header.name,
        schema,
        recipe,
        features,
        truth,
        weights,
        header.trained,
    )?;
    model.metrics = header.metrics;
    Ok(model)
}

/// The parts fit together, so that no prediction reaches beyond them.
fn check(
    schema: &Schema,
    features: &Features,
    truth: &Truth,
    weights: &[f64],
) -> Result<(), ModelError> {
    let learner = schema
        .target()
        .map(|target| Learner::of(target.kind))
        .transpose()?;
    if learner != Some(truth.learner) {
        return Err(ModelError::damaged(
            "its learner does not fit the type of its target",
        ));
    }
    let labels = truth.labels.len();
    let fits = match truth.learner {
        Learner::Linear => labels == 0,
        Learner::Logistic => labels == 2,
        Learner::Multinomial => labels >= 2,
    };
    if !fits || !truth.is_consistent() {
        return Err(ModelError::damaged("its labels do not fit its learner"));
    }
    let outputs = truth.learner.outputs(labels);
    if (features.count as usize + 1).checked_mul(outputs) == Some(weights.len()) {
        Ok(())
    } else {
        Err(ModelError::damaged(
            "it has another number of weights than of features",
        ))
    }
}
