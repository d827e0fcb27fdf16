package warehouse_test

import (
	"testing"

	"gongshu/warehouse/warehousetest"
)

func TestConformance(t *testing.T) { warehousetest.Run(t) }
