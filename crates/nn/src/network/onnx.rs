//! ONNX on `rten`.

use std::path::Path;
use std::sync::Arc;

use diptych_engine::EngineError;
use rten::{Model, NodeId, RunOptions, ThreadPool, Value};

use super::{Input, Network};
use crate::setup;

struct Rten {
    model: Model,
    inputs: Vec<(String, NodeId)>,
    output: NodeId,
}

/// Reads the file and looks whether it is a classifier of something.
pub(super) fn load(path: &Path) -> Result<Box<dyn Network>, EngineError> {
    let model = Model::load_file(path).map_err(|error| {
        setup(format!(
            "{}: this is no ONNX model that can be run here ({error}); fetch it again",
            path.display()
        ))
    })?;
    let name_of = |id: &NodeId| Some((model.node_info(*id)?.name()?.to_owned(), *id));
    let inputs: Vec<(String, NodeId)> = model.input_ids().iter().filter_map(name_of).collect();
    let logits = model.output_ids().iter().filter_map(name_of).find(|(name, _)| name == "logits");
    let output = logits.map(|(_, id)| id).or_else(|| model.output_ids().first().copied());
    let (Some(output), false) = (output, inputs.is_empty()) else {
        return Err(setup(format!("{}: the model has no named input or no output", path.display())));
    };
    Ok(Box::new(Rten { model, inputs, output }))
}

thread_local! {
    /// Many items are worked on at once, each on one thread: nothing is lost in handing over.
    static ONE_THREAD: Arc<ThreadPool> = Arc::new(ThreadPool::with_num_threads(1));
}

impl Rten {
    /// The model's names for `[ids, mask, types]`, whichever it has, or its only input.
    fn tokens(&self, shape: [usize; 2], ids: &[u32], mask: &[u32]) -> Result<Vec<(NodeId, Value)>, String> {
        let whole = |values: &[u32]| values.iter().map(|value| value.cast_signed()).collect::<Vec<i32>>();
        self.inputs
            .iter()
            .map(|(name, id)| {
                let values = match name.as_str() {
                    "input_ids" => whole(ids),
                    "attention_mask" => whole(mask),
                    "token_type_ids" => vec![0; ids.len()],
                    other => {
                        return Err(format!("the model wants an input `{other}`, which nobody knows here"));
                    }
                };
                Ok((*id, Value::from_shape(shape, values).map_err(|error| error.to_string())?))
            })
            .collect()
    }
}

impl Network for Rten {
    fn run(&self, input: Input) -> Result<(Vec<f32>, usize), String> {
        let values = match input {
            Input::Pixels { shape, values } => {
                let (_, id) = &self.inputs[0];
                vec![(*id, Value::from_shape(shape, values).map_err(|error| error.to_string())?)]
            }
            Input::Tokens { shape, ids, mask } => self.tokens(shape, &ids, &mask)?,
        };
        let inputs = values.into_iter().map(|(id, value)| (id, value.into())).collect();
        let mut options = RunOptions::default();
        options.thread_pool = Some(ONE_THREAD.with(Arc::clone));
        let outputs =
            self.model.run(inputs, &[self.output], Some(options)).map_err(|error| error.to_string())?;
        let output = outputs.into_iter().next().ok_or("it gave nothing")?;
        let ([_, labels], values) = output.into_shape_vec::<f32, 2>().map_err(|error| error.to_string())?;
        Ok((values, labels))
    }

    fn runtime(&self) -> &'static str {
        "rten"
    }
}
