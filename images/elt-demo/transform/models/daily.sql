-- One row for each airport and day.
select
    origin,
    year,
    month,
    day,
    avg(temp) as temp,
    sum(precip) as precip,
    count(*) as hours
from tap_weather.weather
group by origin, year, month, day
