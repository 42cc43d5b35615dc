//! Learning and predicting: schema, recipe, train, evaluate, predict.
