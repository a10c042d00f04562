//! Engines behind HTTP. Each file is one provider's wire format; `http` is what they have in common.

pub(crate) mod a1111;
pub(crate) mod chat;
pub(crate) mod classify;
pub(crate) mod fal;
mod http;
pub(crate) mod huggingface;
pub(crate) mod openai_images;
mod picture;

#[cfg(test)]
mod tests;
