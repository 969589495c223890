import { Template } from "npm:@huggingface/jinja@0.5.11";
import type { Tokenizer } from "./tokenizer.ts";

/** One turn of a conversation. */
export interface Message {
  /** Who speaks: `system`, `user`, `assistant`, or what the template knows. */
  readonly role: string;
  /** What is said. */
  readonly content: string;
}

/**
 * A conversation as text, by the tokenizer's own chat template (Jinja, through `npm:@huggingface/jinja`). The
 * text holds its special tokens, so it is encoded with `addSpecial: false`.
 *
 * @param options `addGenerationPrompt` (default false) ends the text where the assistant is to speak.
 * @throws {RangeError} If the tokenizer has no chat template, or the template refuses the conversation.
 */
export function renderChat(
  tokenizer: Pick<Tokenizer, "chatTemplate" | "specialTokens">,
  messages: readonly Message[],
  options: { addGenerationPrompt?: boolean } = {},
): string {
  if (tokenizer.chatTemplate === undefined) {
    throw new RangeError(
      "Cannot render a conversation: found no chat_template in tokenizer_config.json and no chat_template.jinja",
    );
  }
  try {
    return new Template(tokenizer.chatTemplate).render({
      ...tokenizer.specialTokens,
      messages,
      add_generation_prompt: options.addGenerationPrompt ?? false,
    });
  } catch (cause) {
    throw new RangeError(`Cannot render a conversation: ${(cause as Error).message}`, { cause });
  }
}
