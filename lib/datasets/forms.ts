import { type Message, renderChat } from "../io/chat_template.ts";
import type { JsonObject } from "../io/json_file.ts";
import type { Tokenizer } from "../io/tokenizer.ts";
import type { Span } from "./encode.ts";

/** The forms that a row of training data may have. */
export type RowForm = "messages" | "completion" | "instruction" | "text";

/** A row's text, and its parts that a model is to learn to say. */
export interface Example {
  /** The whole text. */
  readonly text: string;
  /** What counts in the loss when prompts do not. */
  readonly completion: readonly Span[];
  /** Whether the text holds its own special tokens. */
  readonly special: boolean;
}

/**
 * The form of a row by its fields, or undefined: `{"messages"}`, `{"prompt", "completion"}`, Alpaca's
 * `{"instruction", "input", "output"}` or `{"text"}`.
 */
export function rowForm(row: JsonObject): RowForm | undefined {
  if (Array.isArray(row.messages)) return "messages";
  if (typeof row.prompt === "string" && typeof row.completion === "string") return "completion";
  if (typeof row.instruction === "string" && typeof row.output === "string") return "instruction";
  return typeof row.text === "string" ? "text" : undefined;
}

/**
 * The text of a row of this form.
 *
 * @throws {RangeError} If a conversation is malformed or cannot be rendered.
 */
export function exampleOf(
  row: JsonObject,
  form: RowForm,
  tokenizer: Pick<Tokenizer, "chatTemplate" | "specialTokens">,
): Example {
  if (form === "messages") return conversation(row.messages as unknown[], tokenizer);
  if (form === "text") {
    const text = row.text as string;
    return { text, completion: [[0, text.length]], special: false };
  }
  const [prompt, completion] = form === "completion"
    ? [row.prompt as string, row.completion as string]
    : [instructionPrompt(row.instruction as string, row.input), row.output as string];
  const text = prompt + completion;
  return { text, completion: [[prompt.length, text.length]], special: false };
}

/**
 * Alpaca's prompt, as its format requires it to the letter.
 *
 * Source: Taori et al. 2023, Stanford Alpaca; the line break after "### Response:" as in alpaca-lora.
 */
export function instructionPrompt(instruction: string, input: unknown): string {
  const parts = typeof input === "string" && input !== ""
    ? [
      "Below is an instruction that describes a task, paired with an input that provides further context. " +
      "Write a response that appropriately completes the request.",
      `### Instruction:\n${instruction}`,
      `### Input:\n${input}`,
    ]
    : [
      "Below is an instruction that describes a task. Write a response that appropriately completes the request.",
      `### Instruction:\n${instruction}`,
    ];
  return [...parts, "### Response:\n"].join("\n\n");
}

/** The assistant's turns count, each from where the template lets the assistant speak to the turn's end. */
function conversation(
  messages: readonly unknown[],
  tokenizer: Pick<Tokenizer, "chatTemplate" | "specialTokens">,
): Example {
  if (!messages.every(isMessage)) {
    throw new RangeError("found messages that lack a role or content, expected [{role, content}, …]");
  }
  const text = renderChat(tokenizer, messages);
  const completion: Span[] = [];
  messages.forEach(({ role }, i) => {
    if (role !== "assistant") return;
    const before = renderChat(tokenizer, messages.slice(0, i), { addGenerationPrompt: true });
    const after = renderChat(tokenizer, messages.slice(0, i + 1));
    if (!text.startsWith(after) || !after.startsWith(before)) {
      throw new RangeError(
        `found a chat template that renders the first ${
          i + 1
        } messages differently when more follow, so their loss cannot be told apart`,
      );
    }
    completion.push([before.length, after.length]);
  });
  return { text, completion, special: true };
}

function isMessage(x: unknown): x is Message {
  const { role, content } = (x ?? {}) as Record<string, unknown>;
  return typeof role === "string" && typeof content === "string";
}
