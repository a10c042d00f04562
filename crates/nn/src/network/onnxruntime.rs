//! ONNX on ONNX Runtime, from a library that the user has: `ORT_DYLIB_PATH` names it.

use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

use diptych_engine::EngineError;
use ort::environment::Environment;
use ort::session::{Session, SessionInputValue};
use ort::value::Tensor;

use super::{Input, Network};
use crate::setup;

/// ONNX Runtime, where the user has named a library and it could be loaded. Looked at once.
fn environment() -> Option<&'static Environment> {
    static LOADED: OnceLock<Option<Environment>> = OnceLock::new();
    LOADED
        .get_or_init(|| {
            let path = std::env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty())?;
            let loaded = ort::init_from(Path::new(&path)).map_err(|error| error.to_string());
            match loaded.and_then(|builder| builder.build().map_err(|error| error.to_string())) {
                Ok(environment) => Some(environment),
                Err(error) => {
                    let path = Path::new(&path).display();
                    tracing::warn!(%path, error, "ONNX Runtime cannot be loaded; the built-in runtime is used");
                    None
                }
            }
        })
        .as_ref()
}

/// Whether there is an ONNX Runtime to run on.
pub(super) fn available() -> bool {
    environment().is_some()
}

/// A session runs one batch at a time, so there are as many as threads may ask.
struct OnnxRuntime {
    sessions: Vec<Mutex<Session>>,
    inputs: Vec<String>,
    output: String,
}

/// Reads the file and looks whether it is a classifier of something.
pub(super) fn load(path: &Path) -> Result<Box<dyn Network>, EngineError> {
    let bad = |error: ort::Error| {
        setup(format!(
            "{}: this is no ONNX model that can be run here ({error}); fetch it again",
            path.display()
        ))
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut sessions = Vec::with_capacity(threads);
    for _ in 0..threads {
        let environment = environment().ok_or_else(|| setup("ONNX Runtime is not loaded"))?;
        let session = Session::builder(environment)
            .and_then(|builder| Ok(builder.with_intra_threads(1)?))
            .and_then(|mut builder| builder.commit_from_file(path))
            .map_err(bad)?;
        sessions.push(session);
    }
    let first = &sessions[0];
    let inputs: Vec<String> = first.inputs().iter().map(|input| input.name().to_owned()).collect();
    let outputs: Vec<String> = first.outputs().iter().map(|output| output.name().to_owned()).collect();
    let output = outputs.iter().find(|name| *name == "logits").or_else(|| outputs.first()).cloned();
    let (Some(output), false) = (output, inputs.is_empty()) else {
        return Err(setup(format!("{}: the model has no named input or no output", path.display())));
    };
    Ok(Box::new(OnnxRuntime { sessions: sessions.into_iter().map(Mutex::new).collect(), inputs, output }))
}

impl OnnxRuntime {
    fn values(&self, input: Input) -> ort::Result<Vec<(String, SessionInputValue<'static>)>> {
        match input {
            Input::Pixels { shape, values } => {
                Ok(vec![(self.inputs[0].clone(), Tensor::from_array((shape, values))?.into())])
            }
            Input::Tokens { shape, ids, mask } => {
                let wide =
                    |values: &[u32]| values.iter().map(|value| i64::from(*value)).collect::<Vec<i64>>();
                let mut values = Vec::new();
                for name in &self.inputs {
                    let numbers = match name.as_str() {
                        "input_ids" => wide(&ids),
                        "attention_mask" => wide(&mask),
                        "token_type_ids" => vec![0; ids.len()],
                        other => {
                            return Err(ort::Error::new(format!(
                                "the model wants an input `{other}`, which nobody knows here"
                            )));
                        }
                    };
                    values.push((name.clone(), Tensor::from_array((shape, numbers))?.into()));
                }
                Ok(values)
            }
        }
    }

    fn run(&self, input: Input) -> ort::Result<(Vec<f32>, usize)> {
        let values = self.values(input)?;
        // The first session that is free; where all are busy, the first one is waited for.
        let free = self.sessions.iter().find_map(|session| session.try_lock().ok());
        let mut session =
            free.unwrap_or_else(|| self.sessions[0].lock().unwrap_or_else(PoisonError::into_inner));
        let outputs = session.run(values)?;
        let (shape, logits) = outputs[self.output.as_str()].try_extract_tensor::<f32>()?;
        let labels = shape.last().copied().and_then(|labels| usize::try_from(labels).ok()).unwrap_or(0);
        Ok((logits.to_vec(), labels))
    }
}

impl Network for OnnxRuntime {
    fn run(&self, input: Input) -> Result<(Vec<f32>, usize), String> {
        Self::run(self, input).map_err(|error| error.to_string())
    }

    fn runtime(&self) -> &'static str {
        "ONNX Runtime"
    }
}
