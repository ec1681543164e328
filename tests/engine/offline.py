# SPDX-License-Identifier: Apache-2.0
"""python -m tests.engine.offline MODEL CONFIG OPTIONS: vLLM's class LLM, without a server, answers prompts twice, so that what a connector
kept comes back. CONFIG: the KV transfer configuration, OPTIONS: more arguments of LLM; both as JSON."""

import json
import random
import sys

from .model import MAX_TOKENS, WORDS

PROMPTS = (200, 400, 1500, 1000)  # tokens


def main(model, config, options):
    from vllm import LLM, SamplingParams
    from vllm.config import KVTransferConfig

    llm = LLM(
        model,
        served_model_name="tiny-offline",
        load_format="dummy",
        dtype="float32",
        enforce_eager=True,
        max_model_len=MAX_TOKENS,
        enable_prefix_caching=False,
        kv_transfer_config=KVTransferConfig(**json.loads(config)),
        **json.loads(options),
    )
    words = random.Random(1)
    prompts = [{"prompt_token_ids": [words.randrange(2, WORDS) for _ in range(tokens)]} for tokens in PROMPTS]
    for _ in range(2):
        llm.generate(prompts, SamplingParams(max_tokens=3, ignore_eos=True), use_tqdm=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
