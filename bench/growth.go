package main

import "context"

func growthFigures(context.Context, Env) ([]Row, error) { return nil, nil }
