"""What a runtime will make of a file, told from its operators alone: nothing here runs a model.

    graph         the operators of a file, as each backend's `operators` reads them
    rules         what is known of a runtime, as data: `rules/NAME.yaml`
    partitions    into how many pieces a delegate cuts a graph
    predicting    a graph against rules: what falls back, what is slow, whether int8 pays
    linting       all files of a recipe against a target

What no rule names is `unknown`, and said so.
"""
