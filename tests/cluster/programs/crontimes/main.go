// Command crontimes prints when the CronJob controller would fire in 2026, by the library that it uses: for each zone and
// schedule how often and a digest of all times, and the times near a change of the clocks in full. In JSON, in UTC.
package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/robfig/cron/v3"
)

var zones = []string{
	"UTC", "Europe/London", "Europe/Berlin", "America/New_York", "America/St_Johns", "America/Santiago",
	"America/Havana", "Africa/Casablanca", "Africa/Cairo", "Asia/Beirut", "Australia/Lord_Howe", "Pacific/Chatham",
	"Antarctica/Troll",
}

var schedules = []string{
	"*/15 * * * *", "0 * * * *", "30 * * * *", "0 0 * * *", "30 0 * * *", "30 1 * * *", "15 2 * * *", "30 2 * * *",
	"0 3 * * *", "0 */2 * * *", "0 2 * * SUN", "0 0 1 * *", "0 12 */7 * *", "0 12 * * */2", "30 2 1,15 * MON-FRI",
	"0 9-17/4 29-31 */3 *",
}

const near = 3 * time.Hour

type year struct {
	Count  int      `json:"count"`
	Digest string   `json:"sha256"`
	Near   []string `json:"near"`
}

func main() {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	end := start.AddDate(1, 0, 0)
	found := map[string]map[string]year{}
	for _, zone := range zones {
		found[zone] = map[string]year{}
		changes := changesOf(zone, start, end)
		for _, schedule := range schedules {
			found[zone][schedule] = times(zone, schedule, start, end, changes)
		}
	}
	printer := json.NewEncoder(os.Stdout)
	printer.SetIndent("", " ")
	if err := printer.Encode(found); err != nil {
		log.Fatal(err)
	}
}

func times(zone, schedule string, start, end time.Time, changes []time.Time) year {
	// As the controller does: pkg/controller/cronjob/utils.go.
	parsed, err := cron.ParseStandard("TZ=" + zone + " " + schedule)
	if err != nil {
		log.Fatal(err)
	}
	digest := sha256.New()
	result := year{Near: []string{}}
	for moment := parsed.Next(start); moment.Before(end); moment = parsed.Next(moment) {
		text := moment.UTC().Format(time.RFC3339)
		fmt.Fprintln(digest, text)
		result.Count++
		for _, change := range changes {
			if moment.Sub(change).Abs() <= near {
				result.Near = append(result.Near, text)
			}
		}
	}
	result.Digest = fmt.Sprintf("%x", digest.Sum(nil))
	return result
}

// changesOf returns the moments at which the clocks of zone change.
func changesOf(zone string, start, end time.Time) []time.Time {
	place, err := time.LoadLocation(zone)
	if err != nil {
		log.Fatal(err)
	}
	var changes []time.Time
	for moment := start; moment.Before(end); moment = moment.Add(time.Minute) {
		_, before := moment.Add(-time.Minute).In(place).Zone()
		if _, offset := moment.In(place).Zone(); offset != before {
			changes = append(changes, moment)
		}
	}
	return changes
}
