-- What came of a span of prompts is read at once, so that memory does not grow with the sprint.
CREATE INDEX variants_of_prompt ON variants (sprint, prompt_idx);
CREATE INDEX images_of_prompt ON images (sprint, prompt_idx);
