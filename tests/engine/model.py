# SPDX-License-Identifier: Apache-2.0
"""python model.py FOLDER [large]: makes a Llama that vLLM can serve with weights of its own making (--load-format dummy): a configuration,
and a tokenizer that has a word for each token. It is tiny, for a CPU, or has the size of a model of 8 B parameters, for a GPU."""

import sys
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, PreTrainedTokenizerFast

WORDS = 1000
MAX_TOKENS = 8192


SIZES = {
    # Keys and values of 2 layers, 4 heads and 64 numbers of 4 bytes: 4 KiB a token.
    "tiny": {
        "hidden_size": 128,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "head_dim": 64,
    },
    # Keys and values of 32 layers, 8 heads and 128 numbers of 2 bytes: 128 KiB a token.
    "large": {
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
    },
}


def make(folder, size="tiny"):
    config = LlamaConfig(
        architectures=["LlamaForCausalLM"],
        vocab_size=WORDS,
        max_position_embeddings=MAX_TOKENS,
        bos_token_id=0,
        eos_token_id=1,
        **SIZES[size],
    )
    config.save_pretrained(folder)
    words = Tokenizer(models.WordLevel({f"w{i}": i for i in range(WORDS)}, unk_token="w2"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=words, bos_token="w0", eos_token="w1", unk_token="w2").save_pretrained(
        folder
    )


if __name__ == "__main__":
    make(Path(sys.argv[1]), *sys.argv[2:])
