// Three pairs to practise on: drawings that ship with the program, so no open pair is given away. Nothing is sent.
"use strict";

const PAIRS = [
  { number: 1, expected: "a" },
  { number: 2, expected: "both_good" },
  { number: 3, expected: "both_bad" },
];

/// The practice pairs as the page shows pairs; `folder` is where the drawings are, `say` knows the texts.
export function practicePairs(folder, say) {
  return PAIRS.map(({ number, expected }) => {
    const first = Math.random() < 0.5 ? ["a", "b"] : ["b", "a"];
    const [left, right] = first.map((letter) => ({ url: `${folder}/practice-${number}${letter}.svg`, width: 768, height: 768 }));
    const answer = expected === "a" ? (first[0] === "a" ? "left" : "right") : expected;
    const assignment = { id: `practice ${number}`, prompt: say(`practice_prompt_${number}`), category: "", left, right };
    return { assignment, practice: { coach: say(`practice_${number}`), answer } };
  });
}
