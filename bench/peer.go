package main

import "context"

func peerFigures(context.Context, Env) ([]Row, error) { return nil, nil }
